/* A boot loader that updates in place, on a microcontroller without an operating system.
 *
 * The application downloads a package to the stage and calls request_update(), which verifies it
 * and leaves a request. The boot loader calls boot_loader() at every start: it does what the
 * request asks for, through any number of power cuts. When the new application has proved itself,
 * it calls confirm_update().
 *
 * In a product the two halves are two programs: the boot loader then links no verification at all
 * (docs/c-api.md, "Decoding only"). No library function is used besides memset and memcpy.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fwdelta.h"

#include <string.h>

/* ---- Step 1: the memory map. Sizes are of the flash, not of an image. */

#define SECTOR_LEN 1024u
#define SLOT_START 0x00004000u
#define SLOT_LEN (32u * SECTOR_LEN)
/* Spare pages and two checkpoints: what fwdelta_in_place_scratch_len says of the largest delta. */
#define SCRATCH_START (SLOT_START + SLOT_LEN)
#define SCRATCH_LEN (24u * SECTOR_LEN)
#define REQUEST_START (SCRATCH_START + SCRATCH_LEN)
#define STAGE_START (REQUEST_START + SECTOR_LEN)
#define STAGE_LEN (8u * SECTOR_LEN)
#define WRITE_LEN 8u
#define ERASED 0xffu

/* ---- Step 2: the drivers, which are the board's. 0 is success; board_read gives 1 for cells that
 * hold no valid word (an ECC fault). They wait until the flash is done. */

int32_t board_read(uint32_t address, uint8_t *buf, size_t len);
int32_t board_erase(uint32_t address);
int32_t board_program(uint32_t address, const uint8_t *data, size_t len);
void board_feed_watchdog(void);
/* Whether the slot holds an application that may run: what the boot loader asked before it knew
 * of updates, such as a checksum or a signature of the image. */
int board_image_is_valid(void);

/* What the boot loader does next. */
enum verdict {
    /* start what is in the slot */
    VERDICT_BOOT,
    /* reset: the flash failed, and the next start goes on where this one stopped */
    VERDICT_RESET,
    /* stay in the boot loader and ask for help: there is nothing to start */
    VERDICT_STAY
};

enum verdict boot_loader(uint16_t *report);
uint16_t request_update(const fwdelta_update *package);
uint16_t confirm_update(void);

/* ---- Step 3: tables of callbacks. A region is a part of the one flash; its context is where it
 * starts. */

struct region {
    uint32_t start;
    uint32_t len;
};

static const struct region slot_region = { SLOT_START, SLOT_LEN };
static const struct region scratch_region = { SCRATCH_START, SCRATCH_LEN };
static const struct region stage_region = { STAGE_START, STAGE_LEN };

static int32_t region_read(void *ctx, uint64_t pos, uint8_t *buf, size_t len)
{
    const struct region *region = (const struct region *)ctx;
    if (pos > region->len || len > region->len - pos) {
        return 2;
    }
    return board_read(region->start + (uint32_t)pos, buf, len);
}

static int32_t region_erase(void *ctx, uint32_t sector)
{
    const struct region *region = (const struct region *)ctx;
    if (sector >= region->len / SECTOR_LEN) {
        return 2;
    }
    board_feed_watchdog();
    return board_erase(region->start + sector * SECTOR_LEN);
}

static int32_t region_program(void *ctx, uint64_t pos, const uint8_t *data, size_t len)
{
    const struct region *region = (const struct region *)ctx;
    if (pos > region->len || len > region->len - pos) {
        return 2;
    }
    return board_program(region->start + (uint32_t)pos, data, len);
}

/* The drivers wait, so that nothing is on its way. */
static int32_t region_sync(void *ctx)
{
    (void)ctx;
    return 0;
}

static fwdelta_flash flash_of_region(const struct region *region)
{
    fwdelta_flash flash;
    memset(&flash, 0, sizeof flash);
    flash.abi = FWDELTA_ABI_VERSION;
    flash.sector_len = SECTOR_LEN;
    flash.len = region->len;
    flash.write_len = WRITE_LEN;
    flash.erased = ERASED;
    /* The library only hands it back. */
    flash.ctx = (void *)(uintptr_t)region;
    flash.read = region_read;
    flash.erase = region_erase;
    flash.program = region_program;
    flash.sync = region_sync;
    return flash;
}

/* Called before every read: also the long checks, such as of the old image, feed the watchdog. */
static int32_t feed(void *ctx, uint64_t done, uint64_t total)
{
    (void)ctx;
    (void)done;
    (void)total;
    board_feed_watchdog();
    return 0; /* anything else cancels */
}

/* ---- Step 4: memory. Nothing of it has to survive a reset, and boot loader and application can
 * share it. */

static fwdelta_state state;
static uint8_t work[10240];

/* ---- Step 5: the request, a verified delta with a checksum, in a sector of its own. */

struct request {
    fwdelta_delta delta;
    uint32_t crc;
    /* to a multiple of WRITE_LEN */
    uint32_t padding;
};

static uint32_t crc_of(const void *bytes, size_t len)
{
    const uint8_t *at = (const uint8_t *)bytes;
    uint32_t crc = 0xffffffffu;
    int bit;
    while (len-- > 0) {
        crc ^= *at++;
        for (bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

/* Whether there is a request. Half a request is none: then nothing was begun, or all is done. */
static int read_request(struct request *request)
{
    return board_read(REQUEST_START, (uint8_t *)request, sizeof *request) == 0
        && request->delta.abi == FWDELTA_ABI_VERSION
        && crc_of(&request->delta, sizeof request->delta) == request->crc;
}

/* Everything one update refers to. */
struct job {
    fwdelta_flash slot;
    fwdelta_flash scratch;
    fwdelta_source payload;
    fwdelta_limits limits;
    fwdelta_progress progress;
    fwdelta_in_place update;
};

static void open_job(struct job *job, const fwdelta_delta *delta)
{
    const fwdelta_source stage = { FWDELTA_ABI_VERSION, (void *)(uintptr_t)&stage_region,
                                   region_read };
    const fwdelta_progress progress = { FWDELTA_ABI_VERSION, NULL, feed };
    memset(job, 0, sizeof *job);
    memset(&state, 0, sizeof state);
    job->slot = flash_of_region(&slot_region);
    job->scratch = flash_of_region(&scratch_region);
    job->payload = stage;
    job->progress = progress;
    fwdelta_limits_device(&job->limits);
    job->update.abi = FWDELTA_ABI_VERSION;
    job->update.delta = delta;
    job->update.slot = &job->slot;
    job->update.scratch = &job->scratch;
    job->update.payload = &job->payload;
    job->update.limits = &job->limits;
    job->update.progress = &job->progress;
    job->update.state = &state;
    job->update.work = work;
    job->update.work_len = sizeof work;
}

/* ---- Step 6: the boot loader. */

/* One bounded piece of work after the other. */
static fwdelta_status step_to_end(const fwdelta_in_place *update, fwdelta_error *error)
{
    fwdelta_step step = { 0, 0, 0 };
    fwdelta_status status = FWDELTA_OK;
    while (status == FWDELTA_OK && !step.done) {
        board_feed_watchdog();
        status = fwdelta_in_place_step(update, &step, error);
    }
    return status;
}

static fwdelta_status rehearse_and_begin(const fwdelta_in_place *update, fwdelta_error *error)
{
    fwdelta_status status = fwdelta_in_place_rehearse(update, error);
    if (status == FWDELTA_OK) {
        status = step_to_end(update, error);
    }
    return status == FWDELTA_OK ? fwdelta_in_place_begin(update, error) : status;
}

static fwdelta_status apply(const fwdelta_in_place *update, fwdelta_error *error)
{
    uint32_t found = FWDELTA_FOUND_NOTHING;
    fwdelta_status status = fwdelta_in_place_look(update, &found, error);
    if (status != FWDELTA_OK || found == FWDELTA_FOUND_DONE) {
        return status;
    }
    status = found == FWDELTA_FOUND_BEGUN ? fwdelta_in_place_resume(update, error)
                                          : rehearse_and_begin(update, error);
    if (status == FWDELTA_OK) {
        status = step_to_end(update, error);
    }
    return status == FWDELTA_OK ? fwdelta_in_place_finish(update, error) : status;
}

/* Decides what to start. `*report` is 0, or the number that the application reports. */
enum verdict boot_loader(uint16_t *report)
{
    static struct request request;
    static struct job job;
    fwdelta_error error;
    *report = 0;
    if (!read_request(&request)) {
        return board_image_is_valid() ? VERDICT_BOOT : VERDICT_STAY;
    }
    open_job(&job, &request.delta);
    if (apply(&job.update, &error) == FWDELTA_OK) {
        return VERDICT_BOOT;
    }
    *report = error.detail;
    if (error.old_intact) {
        return VERDICT_BOOT;
    }
    if (error.category == FWDELTA_STORAGE) {
        return VERDICT_RESET;
    }
    /* Such as a request for what is there already. */
    return board_image_is_valid() ? VERDICT_BOOT : VERDICT_STAY;
}

/* ---- Step 7: the application. */

/* Whether the delta fits this device, asked before anything is given up for it. */
static uint16_t check_fit(const fwdelta_in_place *update, fwdelta_error *error)
{
    fwdelta_delta_info info;
    uint64_t scratch_len = 0;
    if (fwdelta_delta_read(update->delta, update->limits, &info, error) != FWDELTA_OK) {
        return error->detail;
    }
    if (!info.in_place || info.page_len % SECTOR_LEN != 0) {
        return FWDELTA_E_BAD_ARGUMENT;
    }
    if (info.work_len > sizeof work) {
        return FWDELTA_E_WORKSPACE_TOO_SMALL;
    }
    if (fwdelta_in_place_scratch_len(update->delta, update->limits, WRITE_LEN, work, sizeof work,
                                     &scratch_len, error) != FWDELTA_OK) {
        return error->detail;
    }
    return info.slot_len > SLOT_LEN || scratch_len > SCRATCH_LEN ? FWDELTA_E_NO_SPACE : 0;
}

/* Verifies the package in the stage and asks the boot loader for it: reset the device when this
 * gives 0. From here on policy is not asked again. `package->package` reads the stage. */
uint16_t request_update(const fwdelta_update *package)
{
    static struct request request;
    static struct job job;
    fwdelta_error error;
    uint16_t detail;
    memset(&request, 0, sizeof request);
    if (fwdelta_delta_of_package(package, 0, NULL, 0, &request.delta, &error) != FWDELTA_OK) {
        return error.detail;
    }
    open_job(&job, &request.delta);
    detail = check_fit(&job.update, &error);
    if (detail != 0) {
        return detail;
    }
    /* What an earlier update left, even one with the same package, is forgotten first. */
    if (fwdelta_in_place_clear(&job.update, &error) != FWDELTA_OK) {
        return error.detail;
    }
    request.crc = crc_of(&request.delta, sizeof request.delta);
    if (board_erase(REQUEST_START) != 0
        || board_program(REQUEST_START, (const uint8_t *)&request, sizeof request) != 0) {
        return FWDELTA_E_WRITE_FAILED;
    }
    return 0;
}

/* The new application works: nothing of the update is needed any more. */
uint16_t confirm_update(void)
{
    return board_erase(REQUEST_START) == 0 ? 0 : FWDELTA_E_WRITE_FAILED;
}
