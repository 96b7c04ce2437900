/* Runs capi/examples/bare_metal.c on a simulated board, with power cuts at many moments. Linked
 * with the library that has the built-in Ed25519.
 *
 * bare_metal TESTDATA */
#include "../examples/bare_metal.c"

#include "device.h"
#include "nor.h"

#define FLASH_LEN (STAGE_START + STAGE_LEN)

static struct board board;
static struct nor chip;
static struct bytes old_image;
static struct bytes new_image;
static long fed_count;

/* The library with the built-in Ed25519 asks for this. */
void fwdelta_panic(void)
{
    fputs("the library panicked\n", stderr);
    abort();
}

int32_t board_read(uint32_t address, uint8_t *buf, size_t len)
{
    return nor_read(&chip, address, buf, len);
}

int32_t board_erase(uint32_t address)
{
    CHECK(address % SECTOR_LEN == 0);
    return nor_erase(&chip, address / SECTOR_LEN);
}

int32_t board_program(uint32_t address, const uint8_t *data, size_t len)
{
    return nor_program(&chip, address, data, len);
}

void board_feed_watchdog(void)
{
    fed_count++;
}

static int slot_holds(const struct bytes *image)
{
    return memcmp(chip.cells.data + SLOT_START, image->data, image->len) == 0;
}

int board_image_is_valid(void)
{
    return slot_holds(&old_image) || slot_holds(&new_image);
}

/* A device with the old application, and the package in its stage. */
static void start_over(struct rig *rig)
{
    nor_restore(&chip, NULL);
    memset(chip.cells.data + REQUEST_START, ERASED, SECTOR_LEN);
    memcpy(chip.cells.data + SLOT_START, old_image.data, old_image.len);
    CHECK(rig->package_bytes.len <= STAGE_LEN);
    memcpy(chip.cells.data + STAGE_START, rig->package_bytes.data, rig->package_bytes.len);
    board = board_of();
}

static void restore_power(void)
{
    board.has_power = 1;
    board.cut_at = -1;
}

/* From the download to the confirmation, with a cut at operation `at`; gives the operations. */
static long update_with_cut(struct rig *rig, long at, enum cut cut)
{
    uint16_t report;
    enum verdict verdict;
    start_over(rig);
    board.cut_at = at;
    board.cut = cut;
    if (request_update(&rig->update) != 0) {
        /* Cut before the request was there, or while it was written: the old one starts, and asks
         * again. Cut just after: the new one starts. */
        CHECK(!board.has_power);
        restore_power();
        CHECK(boot_loader(&report) == VERDICT_BOOT && report == 0 && board_image_is_valid());
        if (slot_holds(&old_image)) {
            CHECK(request_update(&rig->update) == 0);
        }
    }
    verdict = boot_loader(&report);
    if (!board.has_power) {
        CHECK(verdict != VERDICT_STAY && report / 100 == FWDELTA_STORAGE);
        CHECK(verdict == VERDICT_RESET || slot_holds(&old_image));
        restore_power();
        verdict = boot_loader(&report);
    }
    CHECK(verdict == VERDICT_BOOT && report == 0 && slot_holds(&new_image));
    /* Another start before the confirmation changes nothing. */
    CHECK(boot_loader(&report) == VERDICT_BOOT && report == 0 && slot_holds(&new_image));
    if (confirm_update() != 0) {
        CHECK(!board.has_power);
        restore_power();
    }
    CHECK(boot_loader(&report) == VERDICT_BOOT && report == 0 && slot_holds(&new_image));
    return board.operation_count;
}

static void refusals(struct rig *rig)
{
    uint16_t report;
    start_over(rig);
    rig->device.sequence = 9;
    CHECK(request_update(&rig->update) == FWDELTA_E_ROLLBACK);
    rig->device.sequence = 6;
    CHECK(boot_loader(&report) == VERDICT_BOOT && report == 0 && slot_holds(&old_image));
    /* The payload goes bad between request and reset: the rehearsal finds it. */
    CHECK(request_update(&rig->update) == 0);
    chip.cells.data[STAGE_START + rig->package_bytes.len - 100] ^= 1;
    CHECK(boot_loader(&report) == VERDICT_BOOT && report != 0 && slot_holds(&old_image));
    chip.cells.data[STAGE_START + rig->package_bytes.len - 100] ^= 1;
    /* Another old image than the package is for: only what the board vouches for is started. */
    chip.cells.data[SLOT_START + 5] ^= 1;
    CHECK(boot_loader(&report) == VERDICT_STAY && report == FWDELTA_E_OLD_DIGEST);
    chip.cells.data[SLOT_START + 5] ^= 1;
    CHECK(boot_loader(&report) == VERDICT_BOOT && report == 0 && slot_holds(&new_image));
    /* The same package once more: it starts from an image that is no longer there. */
    CHECK(request_update(&rig->update) == 0);
    CHECK(boot_loader(&report) == VERDICT_BOOT && report == FWDELTA_E_OLD_DIGEST);
    CHECK(slot_holds(&new_image));
}

int main(int argc, char **argv)
{
    static struct rig rig;
    char packages[512];
    long moments = moment_count(60);
    long count;
    long at;
    int cut;
    CHECK(argc == 2);
    snprintf(packages, sizeof packages, "%s/capi", argv[1]);
    old_image = load(argv[1], "firmware/apollo/old.bin");
    new_image = load(argv[1], "firmware/apollo/new.bin");
    chip = nor_of(&board, FLASH_LEN, SECTOR_LEN, WRITE_LEN, ERASED);
    rig_open(&rig, packages, "in-place.suit");
    refusals(&rig);
    count = update_with_cut(&rig, -1, CUT_BEFORE);
    CHECK(fed_count > count / 2);
    for (at = 0; at < count; at += moments > 0 ? count / moments + 1 : 1) {
        for (cut = 0; cut < CUT_COUNT; cut++) {
            update_with_cut(&rig, at, (enum cut)cut);
        }
    }
    printf("%ld operations from request to confirmation\n", count);
    nor_free(&chip);
    free(old_image.data);
    free(new_image.data);
    rig_close(&rig);
    return passed("bare_metal");
}
