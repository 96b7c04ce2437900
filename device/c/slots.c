/* Updates the other slot through the C interface, and cuts its own power once: see board.h. Every
 * start is what a device does: verify and apply the staged package. */
#include "board.h"
#include "fwdelta.h"
#include "support.h"

static fwdelta_target target_of(struct part *part)
{
    fwdelta_target target = { 0 };

    target.abi = FWDELTA_ABI_VERSION;
    target.sector_len = PAGE_LEN;
    target.len = part->len;
    target.write_len = WRITE_LEN;
    target.erased = 0xff;
    target.ctx = part;
    target.erase = part_erase;
    target.program = part_program;
    target.sync = part_sync;
    return target;
}

/* Verifies and applies; gives 0 or the number of the rule that was broken. */
static uint32_t update(struct cut *cut)
{
    uint8_t work[WORK_LEN];
    struct request request;
    struct part staged = part_of(PACKAGE_POS, STAGED_LEN - PAGE_LEN, cut);
    struct part slot = part_of(SLOT_POS, SLOT_LEN, cut);
    struct part other = part_of(OTHER_POS, SLOT_LEN, cut);
    fwdelta_source package = source_of(&staged);
    fwdelta_source old = source_of(&slot);
    fwdelta_target new_slot = target_of(&other);
    fwdelta_component component;
    fwdelta_summary summary;
    fwdelta_part parts = { 0 };
    fwdelta_error error;

    if (!request_open(&request, &package, cut)) {
        return FWDELTA_E_READ_FAILED;
    }
    request.update.work = work;
    request.update.work_len = sizeof work;
    if (fwdelta_verify(&request.update, &summary, &component, 1, &error) != FWDELTA_OK) {
        return error.detail;
    }
    report("workspace", (uint32_t)component.work_len);
    parts.old = &old;
    parts.old_len = component.old_len;
    parts.slot = &new_slot;
    if (fwdelta_apply(&request.update, &parts, 1, &error) != FWDELTA_OK) {
        return error.detail;
    }
    return 0;
}

int main(void)
{
    struct cut cut;
    uint32_t detail;

    start(&cut);
    detail = update(&cut);
    end(&cut, detail, WORK_LEN + sizeof(struct request), OTHER_POS);
}
