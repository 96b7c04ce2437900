/* Updates to a slot of their own that go on after power cuts, from C: cuts at many moments, drivers
 * that fail, a transport that breaks off, every misuse.
 *
 * two_slots TESTDATA IMAGES, where IMAGES holds NAME.old and NAME.new of the stored deltas */
#include "nor.h"

/* Everything about one update; `update` refers to the rest. */
struct bench {
    struct bytes old_bytes;
    struct bytes new_bytes;
    struct bytes file;
    struct bytes memory;
    fwdelta_source old;
    fwdelta_delta delta;
    fwdelta_delta_info info;
    fwdelta_limits limits;
    struct board board;
    struct nor slot;
    struct nor scratch;
    fwdelta_flash slot_table;
    fwdelta_flash scratch_table;
    fwdelta_two_slots_state state;
    fwdelta_two_slots update;
    fwdelta_error error;
    const uint8_t *payload;
    /* where the last start went on, and bytes of payload that it was fed */
    fwdelta_resume_at at;
    uint64_t fed_len;
    /* starts, and those that went on behind the start */
    long boot_count;
    long resumed_count;
    /* the old image where the new one goes, NULL if it is elsewhere */
    const struct bytes *in_slot;
};

#include "bench_two_slots.h"

static void bench_open(struct bench *bench, const char *testdata, const char *images,
                       const char *name, uint64_t interval)
{
    char path[256];
    uint64_t scratch_len = 0;
    fwdelta_source source;
    fwdelta_two_slots *update = &bench->update;
    memset(bench, 0, sizeof *bench);
    snprintf(path, sizeof path, "deltas/%s.fwd", name);
    bench->file = load(testdata, path);
    snprintf(path, sizeof path, "%s.old", name);
    bench->old_bytes = load(images, path);
    snprintf(path, sizeof path, "%s.new", name);
    bench->new_bytes = load(images, path);
    source = source_of(&bench->file);
    bench->old = source_of(&bench->old_bytes);
    CHECK(fwdelta_limits_linux(&bench->limits) == FWDELTA_OK);
    CHECK(fwdelta_delta_of_file(&source, bench->file.len, &bench->delta, &bench->error)
          == FWDELTA_OK);
    CHECK(fwdelta_delta_read(&bench->delta, &bench->limits, &bench->info, &bench->error)
          == FWDELTA_OK);
    bench->memory = allocate((size_t)bench->info.work_len);
    CHECK(fwdelta_two_slots_scratch_len(&bench->delta, &bench->limits, 256, 8,
                                        bench->memory.data, bench->memory.len, &scratch_len,
                                        &bench->error)
          == FWDELTA_OK);
    CHECK(scratch_len > 0 && scratch_len % 512 == 0);
    bench->board = board_of();
    bench->slot = nor_of(&bench->board, bench->new_bytes.len, 512, 8, 0xff);
    bench->scratch = nor_of(&bench->board, (size_t)scratch_len, 256, 8, 0xff);
    bench->payload = bench->file.data + bench->delta.payload_pos;
    update->old = &bench->old;
    update->old_len = bench->old_bytes.len;
    update->interval = interval;
    update->limits = &bench->limits;
    update->work = bench->memory.data;
    update->work_len = bench->memory.len;
    bench_connect(bench);
    bench_renew(bench);
}

static void bench_close(struct bench *bench)
{
    free(bench->old_bytes.data);
    free(bench->new_bytes.data);
    free(bench->file.data);
    free(bench->memory.data);
    nor_free(&bench->slot);
    nor_free(&bench->scratch);
}

/* In pieces of another length each time. */
static fwdelta_status boot(struct bench *bench)
{
    static const size_t piece_lens[] = { 64, 7, 100 };
    return boot_fed(bench, piece_lens[bench->boot_count++ % 3], UINT64_MAX);
}

static void power_cuts(struct bench *bench, long moments)
{
    long count = undisturbed(bench);
    CHECK(bench->fed_len == 0);
    resuming_cuts(bench, count, moments);
}

/* A transport that breaks off is gone on with where the last checkpoint was; gives where that was
 * when the last byte of payload was missing. */
static uint64_t broken_transports(struct bench *bench)
{
    uint64_t last = bench->delta.payload_len - 1;
    uint64_t at;
    uint64_t last_pos = 0;
    for (at = 1; at < last + 97; at += 97) {
        uint64_t budget = at < last ? at : last;
        bench_renew(bench);
        CHECK(boot_fed(bench, 50, budget) == FWDELTA_STORAGE);
        bench_reset(bench);
        boots(bench);
        CHECK(bench->at.payload_pos <= budget + 50 && bench->at.new_pos >= last_pos);
        CHECK(bench->info.needs_decompressor
              || bench->fed_len == bench->delta.payload_len - bench->at.payload_pos);
        last_pos = bench->at.new_pos;
    }
    return last_pos;
}

/* Half of the payload has arrived when the transport breaks off. */
static void half_way(struct bench *bench)
{
    bench_renew(bench);
    CHECK(boot_fed(bench, 50, bench->delta.payload_len / 2) == FWDELTA_STORAGE);
    bench_reset(bench);
}

/* A driver that fails once, at many of its calls while an update is gone on with: a Storage number,
 * and the next start goes on. */
static void failing_drivers(struct bench *bench, long moments)
{
    int fault;
    for (fault = FAULT_READ; fault < FAULT_COUNT; fault++) {
        long calls;
        long at;
        long failed = 0;
        half_way(bench);
        bench->board.fault = (enum fault)fault;
        bench->board.fault_in = -1;
        bench->board.fault_calls = 0;
        boots(bench);
        calls = bench->board.fault_calls;
        /* Backwards: only the last reads, of the slot, are never taken for an absent journal. */
        for (at = calls - 1; at >= 0; at -= moments > 0 ? calls / moments + 1 : 1) {
            half_way(bench);
            bench->board.fault = (enum fault)fault;
            bench->board.fault_in = at;
            if (boot_fed(bench, 64, UINT64_MAX) != FWDELTA_OK) {
                CHECK(bench->error.category == FWDELTA_STORAGE && bench->error.old_intact == 1);
                CHECK(bench->error.detail == FWDELTA_E_READ_FAILED
                      || (bench->error.detail == FWDELTA_E_WRITE_FAILED
                          && fault > FAULT_UNCORRECTABLE));
                failed++;
            } else {
                /* Only a word of the journal that cannot be read counts as absent. */
                CHECK(fault == FAULT_UNCORRECTABLE);
            }
            bench_reset(bench);
            boots(bench);
        }
        CHECK(calls > 3 && failed > 0);
    }
}

/* What an earlier run wrote is not what it was: found in the end, then begun anew. */
static void changed_slot(struct bench *bench)
{
    bench_renew(bench);
    CHECK(boot_fed(bench, 50, bench->delta.payload_len * 3 / 4) == FWDELTA_STORAGE);
    bench_reset(bench);
    bench->slot.cells.data[5] ^= 1;
    CHECK(boot_fed(bench, 50, UINT64_MAX) == FWDELTA_CORRUPT);
    CHECK(bench->error.detail == FWDELTA_E_NEW_DIGEST && bench->error.old_intact == 1);
    CHECK(bench->at.new_pos > 0);
    bench_reset(bench);
    memset(&bench->at, 0, sizeof bench->at);
    bench->fed_len = 0;
    CHECK(fwdelta_two_slots_begin(&bench->update, &bench->error) == FWDELTA_OK);
    CHECK(feed(bench, 50, UINT64_MAX) == FWDELTA_OK);
    CHECK(fwdelta_two_slots_finish(&bench->update, &bench->error) == FWDELTA_OK);
    CHECK(nor_holds(&bench->slot, &bench->new_bytes));
}

static int is_refused(struct bench *bench, fwdelta_status status, uint16_t detail)
{
    return says(&bench->error, status, detail) && bench->error.old_intact == 1;
}

/* Calls in the wrong order, storage that does not fit, pointers that are none: nothing is
 * touched. */
static void misuse(struct bench *bench)
{
    const struct bench good = *bench;
    fwdelta_two_slots *update = &bench->update;
    fwdelta_error *error = &bench->error;
    fwdelta_resume_at at;
    uint32_t found;
    uint32_t wish;
    size_t taken;
    bench_renew(bench);
    CHECK(is_refused(bench, fwdelta_two_slots_resume(update, &at, error), FWDELTA_E_WRONG_STATE));
    CHECK(is_refused(bench, fwdelta_two_slots_feed(update, "", 0, &taken, &wish, error),
                     FWDELTA_E_WRONG_STATE));
    CHECK(is_refused(bench, fwdelta_two_slots_finish(update, error), FWDELTA_E_WRONG_STATE));

#define UNFIT(change, detail)                                                                      \
    do {                                                                                           \
        change;                                                                                    \
        CHECK(is_refused(bench, fwdelta_two_slots_begin(update, error), detail));                  \
        CHECK(bench->board.operation_count == 0);                                                  \
        *update = good.update;                                                                     \
        bench->slot_table = good.slot_table;                                                       \
        bench->scratch_table = good.scratch_table;                                                 \
        bench->delta = good.delta;                                                                 \
    } while (0)

    UNFIT(update->abi = 2, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(update->delta = NULL, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(update->slot = NULL, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(update->scratch = NULL, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(update->limits = NULL, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(update->state = NULL, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(update->work = NULL, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(update->old = NULL, FWDELTA_E_MISSING_OLD);
    UNFIT(update->old_len--, FWDELTA_E_OLD_SIZE);
    UNFIT(update->work_len--, FWDELTA_E_WORKSPACE_TOO_SMALL);
    UNFIT(bench->slot_table.len = 100, FWDELTA_E_NO_SPACE);
    UNFIT(bench->slot_table.write_len = 33, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(bench->slot_table.sector_len = 0, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(bench->slot_table.read = NULL, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(bench->scratch_table.len -= 256, FWDELTA_E_NO_SPACE);
    UNFIT(bench->scratch_table.write_len = 0, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(bench->delta.payload_len++, FWDELTA_E_PAYLOAD_SIZE);
#undef UNFIT
    bench->old_bytes.data[9] ^= 1;
    CHECK(is_refused(bench, fwdelta_two_slots_begin(update, error), FWDELTA_E_OLD_DIGEST));
    bench->old_bytes.data[9] ^= 1;
    CHECK(bench->board.operation_count == 0);
    CHECK(fwdelta_two_slots_look(update, NULL, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_two_slots_look(NULL, &found, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_two_slots_resume(update, NULL, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_two_slots_begin(NULL, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_two_slots_begin(update, error) == FWDELTA_OK);
    CHECK(fwdelta_two_slots_feed(update, "", 0, NULL, &wish, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_two_slots_feed(update, "", 0, &taken, NULL, NULL) == FWDELTA_USAGE);
    CHECK(is_refused(bench, fwdelta_two_slots_finish(update, error), FWDELTA_E_PAYLOAD_SIZE));
    /* Another decision to install finds no journal. */
    bench->delta.decision[0] ^= 1;
    CHECK(fwdelta_two_slots_look(update, &found, error) == FWDELTA_OK);
    CHECK(found == FWDELTA_FOUND_NOTHING);
    bench->delta.decision[0] ^= 1;
    boots(bench);
}

/* A slot whose first sectors are shorter than the others, as those of an STM32F4. */
static void unequal_sectors(struct bench *bench)
{
    static const fwdelta_sectors first[] = { { 64, 4 }, { 256, 1 } };
    static const fwdelta_sectors wrong[] = { { 64, 4 }, { 256, 0 } };
    bench->slot.first = first;
    bench->slot.first_count = 2;
    bench->slot_table = flash_table(&bench->slot);
    bench_renew(bench);
    power_cuts(bench, moment_count(30));
    bench->slot_table.first = wrong;
    CHECK(is_refused(bench, fwdelta_two_slots_begin(&bench->update, &bench->error),
                     FWDELTA_E_BAD_ARGUMENT));
    bench->slot_table.first = NULL;
    CHECK(is_refused(bench, fwdelta_two_slots_begin(&bench->update, &bench->error),
                     FWDELTA_E_BAD_ARGUMENT));
    bench->slot_table = flash_table(&bench->slot);
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "thumb-plain", "thumb-small", "thumb-tiny" };
    static struct bench bench;
    uint64_t last_pos;
    size_t at;
    CHECK(argc == 3);
    for (at = 0; at < sizeof names / sizeof *names; at++) {
        bench_open(&bench, argv[1], argv[2], names[at], 1024);
        power_cuts(&bench, moment_count(30));
        last_pos = broken_transports(&bench);
        /* The payloads of the others are hardly longer than what is decoded at a time. */
        CHECK(at > 0 || last_pos > bench.new_bytes.len / 2);
        if (at == 0) {
            changed_slot(&bench);
            failing_drivers(&bench, moment_count(30));
            misuse(&bench);
            unequal_sectors(&bench);
        }
        bench_close(&bench);
    }
    return passed("two_slots");
}
