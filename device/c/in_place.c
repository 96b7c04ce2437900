/* Updates the only slot in place through the C interface, and cuts its own power once: see board.h.
 * Every start is what a boot loader does. A package is verified once; its delta is kept in flash
 * until the update is done, and nothing is asked of the package again. */
#include "board.h"
#include "fwdelta.h"
#include "support.h"

/* The delta that was verified, then spare pages and checkpoints; the last page has the notes. */
#define DELTA_POS OTHER_POS
#define SCRATCH_POS (DELTA_POS + PAGE_LEN)
#define SCRATCH_LEN (FLASH_LEN - PAGE_LEN - SCRATCH_POS)

static fwdelta_flash flash_of(struct part *part)
{
    fwdelta_flash flash = { 0 };

    flash.abi = FWDELTA_ABI_VERSION;
    flash.sector_len = PAGE_LEN;
    flash.len = part->len;
    flash.write_len = WRITE_LEN;
    flash.erased = 0xff;
    flash.ctx = part;
    flash.read = part_read;
    flash.erase = part_erase;
    flash.program = part_program;
    flash.sync = part_sync;
    return flash;
}

/* Verifies the staged package, and keeps its delta. The frame of this function is gone when the
 * update begins. */
static __attribute__((noinline)) uint32_t verify(struct cut *cut)
{
    struct part staged = part_of(PACKAGE_POS, STAGED_LEN - PAGE_LEN, cut);
    struct part kept = part_of(DELTA_POS, PAGE_LEN, cut);
    struct request request;
    fwdelta_source package = source_of(&staged);
    fwdelta_delta delta;
    fwdelta_error error;
    uint8_t piece[64];

    if (!request_open(&request, &package, cut)) {
        return FWDELTA_E_READ_FAILED;
    }
    request.update.work = piece;
    request.update.work_len = sizeof piece;
    if (fwdelta_delta_of_package(&request.update, 0, NULL, 0, &delta, &error) != FWDELTA_OK) {
        return error.detail;
    }
    if (part_erase(&kept, 0) != 0 ||
        part_program(&kept, 0, (const uint8_t *)&delta, sizeof delta) != 0) {
        return FWDELTA_E_WRITE_FAILED;
    }
    note_take(NOTE_DELTA, 1);
    return 0;
}

static uint32_t steps(const fwdelta_in_place *update, fwdelta_error *error)
{
    fwdelta_step step = { 0, 0, 0 };

    while (!step.done) {
        if (fwdelta_in_place_step(update, &step, error) != FWDELTA_OK) {
            return error->detail;
        }
    }
    return 0;
}

/* Begins, resumes or does nothing. */
static __attribute__((noinline)) uint32_t apply(struct cut *cut)
{
    uint8_t work[WORK_LEN];
    fwdelta_state state = { { 0 } };
    fwdelta_delta delta;
    struct part kept = part_of(DELTA_POS, PAGE_LEN, cut);
    struct part staged = part_of(PACKAGE_POS, STAGED_LEN - PAGE_LEN, cut);
    struct part slot_part = part_of(SLOT_POS, SLOT_LEN, cut);
    struct part scratch_part = part_of(SCRATCH_POS, SCRATCH_LEN, cut);
    fwdelta_source payload = source_of(&staged);
    fwdelta_flash slot = flash_of(&slot_part);
    fwdelta_flash scratch = flash_of(&scratch_part);
    fwdelta_in_place update = { 0 };
    fwdelta_delta_info info;
    fwdelta_limits limits;
    fwdelta_error error;
    uint32_t found;
    uint32_t detail;

    fwdelta_limits_device(&limits);
    if (part_read(&kept, 0, (uint8_t *)&delta, sizeof delta) != 0 ||
        fwdelta_delta_read(&delta, &limits, &info, &error) != FWDELTA_OK ||
        info.work_len > sizeof work) {
        return FWDELTA_E_WORKSPACE_TOO_SMALL;
    }
    report("workspace", (uint32_t)info.work_len);
    update.abi = FWDELTA_ABI_VERSION;
    update.delta = &delta;
    update.slot = &slot;
    update.scratch = &scratch;
    update.payload = &payload;
    update.limits = &limits;
    update.state = &state;
    update.work = work;
    update.work_len = (size_t)info.work_len;
    if (fwdelta_in_place_look(&update, &found, &error) != FWDELTA_OK) {
        return error.detail;
    }
    report("found", found);
    if (found == FWDELTA_FOUND_DONE) {
        return 0;
    }
    if (found == FWDELTA_FOUND_NOTHING) {
        if (fwdelta_in_place_rehearse(&update, &error) != FWDELTA_OK) {
            return error.detail;
        }
        detail = steps(&update, &error);
        if (detail == 0 && fwdelta_in_place_begin(&update, &error) != FWDELTA_OK) {
            detail = error.detail;
        }
    } else {
        detail = fwdelta_in_place_resume(&update, &error) == FWDELTA_OK ? 0 : error.detail;
    }
    if (detail == 0) {
        detail = steps(&update, &error);
    }
    if (detail == 0 && fwdelta_in_place_finish(&update, &error) != FWDELTA_OK) {
        detail = error.detail;
    }
    return detail;
}

int main(void)
{
    struct cut cut;
    uint32_t detail = 0;

    start(&cut);
    if (note_number(NOTE_DELTA) == 0) {
        detail = verify(&cut);
        report("signature_stack", stack_peak());
        stack_paint();
    }
    if (detail == 0) {
        detail = apply(&cut);
    }
    end(&cut, detail, WORK_LEN, SLOT_POS);
}
