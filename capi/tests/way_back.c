/* The way back from C: a package that leads back from an update is checked before the update is
 * applied, and taken as long as that one waits for its confirmation. Linked with the library that
 * has the built-in Ed25519.
 *
 * way_back TESTDATA */
#include "device.h"
#include "nor.h"

/* The library with the built-in Ed25519 asks for this. */
void fwdelta_panic(void)
{
    fputs("the library panicked\n", stderr);
    abort();
}

/* An update, what verifying it said, and a package to go back with. */
struct ways {
    struct rig forward;
    struct rig back;
    fwdelta_summary summary;
    fwdelta_component component;
};

static void ways_open(struct ways *ways, const char *dir, const char *forward, const char *back)
{
    rig_open_bare(&ways->forward, dir, forward);
    rig_open_bare(&ways->back, dir, back);
    CHECK(fwdelta_verify(&ways->forward.update, &ways->summary, &ways->component, 1,
                         &ways->forward.error)
          == FWDELTA_OK);
    CHECK(ways->summary.component_count == 1 && ways->component.is_way_back == 0);
    ways->back.device.pending = ways->summary.manifest;
}

static void ways_close(struct ways *ways)
{
    rig_close(&ways->forward);
    rig_close(&ways->back);
}

static fwdelta_status check(struct ways *ways)
{
    return fwdelta_check_way_back(&ways->back.update, &ways->component, 1, &ways->back.error);
}

/* Of that update, whole, and between the same images. */
static void only_its_own(const char *dir)
{
    static struct ways ways;
    struct rig *back = &ways.back;
    size_t at;
    ways_open(&ways, dir, "update8.suit", "back8.suit");
    CHECK(check(&ways) == FWDELTA_OK);
    CHECK(refused(back, fwdelta_check_way_back(&back->update, NULL, 0, &back->error),
                  FWDELTA_E_BAD_ARGUMENT));
    CHECK(refused(back, fwdelta_check_way_back(&back->update, NULL, 1, &back->error),
                  FWDELTA_E_BAD_ARGUMENT));
    back->device.pending = NULL;
    CHECK(refused(back, check(&ways), FWDELTA_E_ROLLBACK));
    back->device.pending = ways.summary.manifest;
    ways.component.new_digest[0] ^= 1;
    CHECK(refused(back, check(&ways), FWDELTA_E_BAD_ARGUMENT));
    ways.component.new_digest[0] ^= 1;
    ways.component.old_digest[31] ^= 1;
    CHECK(refused(back, check(&ways), FWDELTA_E_BAD_ARGUMENT));
    ways.component.old_digest[31] ^= 1;
    ways.component.old_len++;
    CHECK(refused(back, check(&ways), FWDELTA_E_BAD_ARGUMENT));
    ways.component.old_len--;
    ways.component.has_old = 0;
    CHECK(refused(back, check(&ways), FWDELTA_E_BAD_ARGUMENT));
    ways.component.has_old = 1;
    for (at = 0; at < back->package_bytes.len; at += 17) {
        back->package_bytes.data[at] ^= 0x10;
        CHECK(check(&ways) != FWDELTA_OK && back->error.old_intact == 1);
        back->package_bytes.data[at] ^= 0x10;
    }
    CHECK(check(&ways) == FWDELTA_OK && at > 1000);
    ways_close(&ways);
    ways_open(&ways, dir, "update9.suit", "back8.suit");
    CHECK(refused(&ways.back, check(&ways), FWDELTA_E_ROLLBACK));
    ways_close(&ways);
    ways_open(&ways, dir, "update8.suit", "update9.suit");
    CHECK(refused(&ways.back, check(&ways), FWDELTA_E_BAD_ARGUMENT));
    ways_close(&ways);
}

static fwdelta_status step_to_end(const fwdelta_in_place *update, fwdelta_error *error)
{
    fwdelta_step step = { 0, 0, 0 };
    fwdelta_status status = FWDELTA_OK;
    while (status == FWDELTA_OK && !step.done) {
        status = fwdelta_in_place_step(update, &step, error);
    }
    return status;
}

/* Rewrites what is in `slot` as the package of `rig` says. */
static void rewrite(struct rig *rig, struct nor *slot)
{
    static fwdelta_state state;
    static uint8_t work[WORK_LEN];
    struct nor scratch;
    fwdelta_delta delta;
    fwdelta_delta_info info;
    fwdelta_flash slot_table = flash_table(slot);
    fwdelta_flash scratch_table;
    fwdelta_in_place update;
    fwdelta_error *error = &rig->error;
    uint64_t scratch_len = 0;
    CHECK(fwdelta_delta_of_package(&rig->update, 0, NULL, 0, &delta, error) == FWDELTA_OK);
    CHECK(fwdelta_delta_read(&delta, &rig->limits, &info, error) == FWDELTA_OK);
    CHECK(info.work_len <= sizeof work);
    CHECK(fwdelta_in_place_scratch_len(&delta, &rig->limits, 8, work, sizeof work, &scratch_len,
                                       error)
          == FWDELTA_OK);
    scratch = nor_of(slot->board, (size_t)scratch_len, 1024, 8, 0xff);
    scratch_table = flash_table(&scratch);
    memset(&update, 0, sizeof update);
    update.abi = FWDELTA_ABI_VERSION;
    update.delta = &delta;
    update.slot = &slot_table;
    update.scratch = &scratch_table;
    update.payload = &rig->package;
    update.limits = &rig->limits;
    update.state = &state;
    update.work = work;
    update.work_len = (size_t)info.work_len;
    CHECK(fwdelta_in_place_rehearse(&update, error) == FWDELTA_OK);
    CHECK(step_to_end(&update, error) == FWDELTA_OK);
    CHECK(fwdelta_in_place_begin(&update, error) == FWDELTA_OK);
    CHECK(step_to_end(&update, error) == FWDELTA_OK);
    CHECK(fwdelta_in_place_finish(&update, error) == FWDELTA_OK);
    nor_free(&scratch);
}

/* There, and back again; then, confirmed, no more. */
static void there_and_back(const char *dir, const char *testdata)
{
    static struct ways ways;
    struct bytes old_bytes = load(testdata, "firmware/apollo/old.bin");
    struct bytes new_bytes = load(testdata, "firmware/apollo/new.bin");
    struct board board = board_of();
    struct nor slot = nor_of(&board, 24576, 1024, 8, 0xff);
    fwdelta_summary summary;
    fwdelta_component component;
    fwdelta_delta delta;
    ways_open(&ways, dir, "update8.suit", "back8.suit");
    CHECK(check(&ways) == FWDELTA_OK);
    nor_restore(&slot, &old_bytes);
    rewrite(&ways.forward, &slot);
    CHECK(nor_holds(&slot, &new_bytes));
    CHECK(fwdelta_verify(&ways.back.update, &summary, &component, 1, &ways.back.error)
          == FWDELTA_OK);
    CHECK(component.is_way_back == 1);
    CHECK(memcmp(summary.manifest, ways.summary.manifest, 32) != 0);
    rewrite(&ways.back, &slot);
    CHECK(nor_holds(&slot, &old_bytes));
    ways.back.device.pending = NULL;
    CHECK(refused(&ways.back,
                  fwdelta_delta_of_package(&ways.back.update, 0, NULL, 0, &delta,
                                           &ways.back.error),
                  FWDELTA_E_ROLLBACK));
    nor_free(&slot);
    free(old_bytes.data);
    free(new_bytes.data);
    ways_close(&ways);
}

int main(int argc, char **argv)
{
    char dir[512];
    CHECK(argc == 2);
    snprintf(dir, sizeof dir, "%s/capi/way-back", argv[1]);
    only_its_own(dir);
    there_and_back(dir, argv[1]);
    return passed("way_back");
}
