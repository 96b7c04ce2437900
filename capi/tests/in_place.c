/* Updates in place from C: power cuts at many moments, drivers that fail, every misuse. Linked with
 * the library that has the built-in Ed25519.
 *
 * in_place TESTDATA */
#include "device.h"
#include "nor.h"

/* The library with the built-in Ed25519 asks for this. */
void fwdelta_panic(void)
{
    fputs("the library panicked\n", stderr);
    abort();
}

/* The slot of in-place-mixed.fwd begins with these, before sectors of 2 KiB. */
static const fwdelta_sectors mixed[] = { { 512, 2 }, { 1024, 1 } };

/* Everything about one update; `update` refers to the rest. */
struct bench {
    struct bytes old_bytes;
    struct bytes new_bytes;
    struct bytes file;
    fwdelta_source payload;
    fwdelta_delta delta;
    fwdelta_delta_info info;
    fwdelta_limits limits;
    struct board board;
    struct nor slot;
    struct nor scratch;
    fwdelta_flash slot_table;
    fwdelta_flash scratch_table;
    fwdelta_state state;
    uint8_t work[WORK_LEN];
    fwdelta_in_place update;
    fwdelta_error error;
    /* the old image where the new one goes, NULL if it is elsewhere */
    const struct bytes *in_slot;
};

#include "bench_in_place.h"

/* `bench->file`, `payload` and `delta` are there already. */
static void bench_flash(struct bench *bench, uint32_t sector_len, uint16_t write_len,
                        uint8_t erased)
{
    uint64_t scratch_len = 0;
    fwdelta_in_place *update = &bench->update;
    CHECK(fwdelta_delta_read(&bench->delta, &bench->limits, &bench->info, &bench->error)
          == FWDELTA_OK);
    CHECK(bench->info.in_place == 1 && bench->info.has_old == 1 && bench->info.page_len > 0);
    CHECK(bench->info.work_len <= sizeof bench->work && bench->info.spare_count > 0);
    CHECK(fwdelta_in_place_scratch_len(&bench->delta, &bench->limits, write_len, bench->work,
                                       sizeof bench->work, &scratch_len, &bench->error)
          == FWDELTA_OK);
    CHECK(scratch_len % bench->info.page_len == 0);
    CHECK(scratch_len > (uint64_t)bench->info.page_len * bench->info.spare_count);
    bench->board = board_of();
    bench->slot = nor_of(&bench->board, (size_t)bench->info.slot_len, sector_len, write_len,
                         erased);
    bench->scratch = nor_of(&bench->board, (size_t)scratch_len, sector_len, write_len, erased);
    update->payload = &bench->payload;
    update->limits = &bench->limits;
    update->work = bench->work;
    update->work_len = (size_t)bench->info.work_len;
    bench_connect(bench);
    bench_renew(bench);
}

static void bench_images(struct bench *bench, const char *testdata)
{
    memset(bench, 0, sizeof *bench);
    bench->old_bytes = load(testdata, "firmware/apollo/old.bin");
    bench->new_bytes = load(testdata, "firmware/apollo/new.bin");
    bench->in_slot = &bench->old_bytes;
    CHECK(fwdelta_limits_device(&bench->limits) == FWDELTA_OK);
}

static void bench_open(struct bench *bench, const char *testdata, const char *delta,
                       uint32_t sector_len, uint16_t write_len, uint8_t erased)
{
    bench_images(bench, testdata);
    bench->file = load(testdata, delta);
    bench->payload = source_of(&bench->file);
    CHECK(fwdelta_delta_of_file(&bench->payload, bench->file.len, &bench->delta, &bench->error)
          == FWDELTA_OK);
    bench_flash(bench, sector_len, write_len, erased);
}

static void bench_close(struct bench *bench)
{
    free(bench->old_bytes.data);
    free(bench->new_bytes.data);
    free(bench->file.data);
    nor_free(&bench->slot);
    nor_free(&bench->scratch);
}

static fwdelta_status boot(struct bench *bench)
{
    return start(bench);
}

/* Where the old image is missing nothing is erased for it. */
static void without_old(struct bench *bench)
{
    bench_reset(bench);
    boots(bench);
    CHECK(clear(bench) == FWDELTA_OK);
    bench_reset(bench);
    CHECK(fwdelta_in_place_rehearse(&bench->update, &bench->error) == FWDELTA_WRONG_OLD);
    CHECK(bench->error.detail == FWDELTA_E_OLD_DIGEST && bench->board.operation_count == 0);
}

static void power_cuts(struct bench *bench, long moments)
{
    long count = undisturbed(bench);
    long cuts = nested_cuts(bench, count, moments);
    without_old(bench);
    printf("%ld operations, %ld cuts, each with another in the recovery\n", count, cuts);
}

/* A driver that fails once, at many of its calls: a Storage number, the old image whole where it
 * says so, and the next start goes on. */
static void failing_drivers(struct bench *bench, long moments)
{
    int fault;
    for (fault = FAULT_READ; fault < FAULT_COUNT; fault++) {
        long calls;
        long at;
        long every;
        long failed = 0;
        long tried = 0;
        bench_renew(bench);
        bench->board.fault = (enum fault)fault;
        bench->board.fault_in = -1;
        bench->board.fault_calls = 0;
        boots(bench);
        calls = bench->board.fault_calls;
        every = moments > 0 ? calls / moments + 1 : 1;
        for (at = 0; at < calls; at += every) {
            bench_renew(bench);
            bench->board.fault = (enum fault)fault;
            bench->board.fault_in = at;
            if (boot(bench) == FWDELTA_OK) {
                /* Only a word of the journal that cannot be read counts as absent. */
                CHECK(fault == FAULT_UNCORRECTABLE);
            } else {
                CHECK(bench->error.category == FWDELTA_STORAGE && is_true(bench));
                CHECK(bench->error.detail == FWDELTA_E_READ_FAILED
                      || (bench->error.detail == FWDELTA_E_WRITE_FAILED
                          && fault > FAULT_UNCORRECTABLE));
                failed++;
            }
            tried++;
            bench_reset(bench);
            boots(bench);
        }
        CHECK(calls > 20 && failed * 2 > tried);
    }
}

/* The old image stays where it is, whatever the payload. */
static void damaged_payloads(struct bench *bench)
{
    size_t at;
    int refused_count = 0;
    bench_renew(bench);
    for (at = (size_t)bench->delta.payload_pos; at < bench->file.len; at += 13) {
        bench->file.data[at] ^= 0x20;
        CHECK(boot(bench) != FWDELTA_OK && bench->error.old_intact == 1);
        bench->file.data[at] ^= 0x20;
        CHECK(bench->board.operation_count == 0 && nor_holds(&bench->slot, &bench->old_bytes));
        refused_count++;
    }
    CHECK(refused_count > 20);
    /* A medium that ends early. */
    bench->file.len -= 10;
    CHECK(boot(bench) == FWDELTA_STORAGE && bench->error.detail == FWDELTA_E_READ_FAILED);
    CHECK(bench->error.old_intact == 1 && bench->board.operation_count == 0);
    bench->file.len += 10;
    /* Another old image. */
    bench->slot.cells.data[77] ^= 4;
    CHECK(fwdelta_in_place_rehearse(&bench->update, &bench->error) == FWDELTA_WRONG_OLD);
    CHECK(bench->error.old_intact == 0 && bench->board.operation_count == 0);
    bench->slot.cells.data[77] ^= 4;
    boots(bench);
}

static int is_refused(struct bench *bench, fwdelta_status status, uint16_t detail)
{
    return says(&bench->error, status, detail) && is_true(bench);
}

/* Calls in the wrong order, and with other memory. */
static void wrong_order(struct bench *bench)
{
    const fwdelta_in_place *update = &bench->update;
    fwdelta_error *error = &bench->error;
    fwdelta_in_place other;
    fwdelta_step step;
    uint8_t work[WORK_LEN];
    bench_renew(bench);
    CHECK(is_refused(bench, fwdelta_in_place_step(update, &step, error), FWDELTA_E_WRONG_STATE));
    CHECK(is_refused(bench, fwdelta_in_place_begin(update, error), FWDELTA_E_WRONG_STATE));
    CHECK(is_refused(bench, fwdelta_in_place_finish(update, error), FWDELTA_E_WRONG_STATE));
    CHECK(is_refused(bench, fwdelta_in_place_resume(update, error), FWDELTA_E_WRONG_STATE));
    CHECK(error->old_intact == 0);
    CHECK(fwdelta_in_place_rehearse(update, error) == FWDELTA_OK);
    CHECK(is_refused(bench, fwdelta_in_place_begin(update, error), FWDELTA_E_WRONG_STATE));
    CHECK(fwdelta_in_place_rehearse(update, error) == FWDELTA_OK);
    CHECK(is_refused(bench, fwdelta_in_place_finish(update, error), FWDELTA_E_WRONG_STATE));
    CHECK(fwdelta_in_place_rehearse(update, error) == FWDELTA_OK);
    other = *update;
    other.work = work;
    CHECK(is_refused(bench, fwdelta_in_place_step(&other, &step, error), FWDELTA_E_BAD_ARGUMENT));
    CHECK(step_to_end(bench) == FWDELTA_OK && bench->board.operation_count == 0);
    CHECK(fwdelta_in_place_begin(update, error) == FWDELTA_OK);
    CHECK(nor_holds(&bench->slot, &bench->old_bytes));
    CHECK(is_refused(bench, fwdelta_in_place_finish(update, error), FWDELTA_E_WRONG_STATE));
    CHECK(is_refused(bench, fwdelta_in_place_rehearse(update, error), FWDELTA_E_WRONG_STATE));
    CHECK(error->old_intact == 0);
    CHECK(fwdelta_in_place_resume(update, error) == FWDELTA_OK);
    CHECK(step_to_end(bench) == FWDELTA_OK);
    CHECK(fwdelta_in_place_step(update, &step, error) == FWDELTA_OK && step.done);
    CHECK(step.page_done == step.page_count && step.page_count > 0);
    CHECK(fwdelta_in_place_finish(update, error) == FWDELTA_OK);
    CHECK(nor_holds(&bench->slot, &bench->new_bytes));
    /* Another decision to install finds no journal, and the new image is not the old one. */
    bench->delta.decision[31] ^= 1;
    CHECK(is_refused(bench, fwdelta_in_place_resume(update, error), FWDELTA_E_WRONG_STATE));
    CHECK(is_refused(bench, fwdelta_in_place_rehearse(update, error), FWDELTA_E_OLD_DIGEST));
    bench->delta.decision[31] ^= 1;
}

/* Geometries that do not fit are found before anything is touched. */
static void wrong_geometry(struct bench *bench)
{
    const fwdelta_flash good[2] = { bench->slot_table, bench->scratch_table };
    bench_renew(bench);

#define UNFIT(change, detail)                                                                      \
    do {                                                                                           \
        change;                                                                                    \
        CHECK(boot(bench) != FWDELTA_OK);                                                          \
        CHECK(is_refused(bench, bench->error.category, detail));                                   \
        CHECK(bench->board.operation_count == 0);                                                  \
        bench->slot_table = good[0];                                                               \
        bench->scratch_table = good[1];                                                            \
        bench_reset(bench);                                                                        \
    } while (0)

    UNFIT(bench->slot_table.write_len = 0, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(bench->slot_table.write_len = 64, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(bench->slot_table.sector_len = 0, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(bench->slot_table.sector_len *= 3, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(bench->scratch_table.write_len = 0, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(bench->scratch_table.write_len = 33, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(bench->scratch_table.sector_len = 0, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(bench->scratch_table.sector_len *= 3, FWDELTA_E_BAD_ARGUMENT);
    UNFIT(bench->slot_table.len--, FWDELTA_E_NO_SPACE);
    UNFIT(bench->slot_table.len = 100, FWDELTA_E_NO_SPACE);
    UNFIT(bench->scratch_table.len--, FWDELTA_E_NO_SPACE);
#undef UNFIT
    boots(bench);
}

/* Tables of sectors that are none, or not those of the delta, change nothing. */
static void wrong_sectors(struct bench *bench)
{
    static const fwdelta_sectors tables[][2] = {
        { { 512, 2 }, { 1024, 0 } }, { { 0, 2 }, { 1024, 1 } }, { { 1, 2 }, { 1024, 1 } },
        { { 512, 1 }, { 1024, 1 } }, { { 1024, 1 }, { 512, 2 } },
    };
    size_t at;
    bench_renew(bench);
    CHECK(bench->slot_table.first == mixed && bench->slot_table.first_count == 2);
    for (at = 0; at <= sizeof tables / sizeof *tables; at++) {
        int is_none = at == sizeof tables / sizeof *tables;
        bench->slot_table.first = is_none ? NULL : tables[at];
        CHECK(boot(bench) == FWDELTA_USAGE);
        CHECK(bench->error.detail == FWDELTA_E_BAD_ARGUMENT && is_true(bench));
        CHECK(bench->board.operation_count == 0);
    }
    bench->slot_table.first = mixed;
    bench_reset(bench);
    boots(bench);
}

/* Every pointer that must not be NULL, every version, every missing callback: nothing is known of
 * the old image then. */
static void misuse(struct bench *bench)
{
    const struct bench good = *bench;
    uint32_t found = 0;
    uint64_t len = 0;
    fwdelta_step step;
    bench_renew(bench);

#define MISUSED(change)                                                                            \
    do {                                                                                           \
        change;                                                                                    \
        CHECK(fwdelta_in_place_look(&bench->update, &found, &bench->error) == FWDELTA_USAGE);      \
        CHECK(bench->error.detail == FWDELTA_E_BAD_ARGUMENT && bench->error.old_intact == 0);      \
        CHECK(fwdelta_in_place_resume(&bench->update, NULL) == FWDELTA_USAGE);                     \
        bench->update = good.update;                                                               \
        bench->delta.abi = good.delta.abi;                                                         \
        bench->slot_table = good.slot_table;                                                       \
        bench->scratch_table = good.scratch_table;                                                 \
        bench->payload = good.payload;                                                             \
    } while (0)

    MISUSED(bench->update.abi = 1);
    MISUSED(bench->update.delta = NULL);
    MISUSED(bench->update.slot = NULL);
    MISUSED(bench->update.scratch = NULL);
    MISUSED(bench->update.payload = NULL);
    MISUSED(bench->update.limits = NULL);
    MISUSED(bench->update.state = NULL);
    MISUSED(bench->update.work = NULL);
    MISUSED(bench->update.state = (fwdelta_state *)(void *)((char *)&bench->state + 1));
    MISUSED(bench->delta.abi = 0);
    MISUSED(bench->slot_table.abi = 1);
    MISUSED(bench->slot_table.read = NULL);
    MISUSED(bench->slot_table.erase = NULL);
    MISUSED(bench->scratch_table.program = NULL);
    MISUSED(bench->scratch_table.sync = NULL);
    MISUSED(bench->payload.read = NULL);
#undef MISUSED
    CHECK(fwdelta_in_place_look(NULL, &found, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_in_place_look(&bench->update, NULL, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_in_place_step(&bench->update, NULL, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_in_place_step(NULL, &step, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_delta_read(NULL, &bench->limits, &bench->info, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_delta_read(&bench->delta, NULL, &bench->info, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_delta_read(&bench->delta, &bench->limits, NULL, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_delta_of_file(NULL, 9, &bench->delta, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_delta_of_file(&bench->payload, 9, NULL, NULL) == FWDELTA_USAGE);
    bench->update.work_len--;
    CHECK(is_refused(bench, boot(bench), FWDELTA_E_WORKSPACE_TOO_SMALL));
    bench->update.work_len++;
    CHECK(fwdelta_in_place_scratch_len(&bench->delta, &bench->limits, 4, bench->work, 5, &len,
                                       &bench->error) == FWDELTA_LIMIT);
    bench->limits.image_len = 1000;
    CHECK(is_refused(bench, boot(bench), FWDELTA_E_IMAGE_TOO_LARGE));
    bench->limits.image_len = good.limits.image_len;
    bench->delta.payload_len++;
    CHECK(is_refused(bench, boot(bench), FWDELTA_E_PAYLOAD_SIZE));
    bench->delta.payload_len--;
    bench->delta.header_len--;
    CHECK(is_refused(bench, boot(bench), FWDELTA_E_TRUNCATED));
    bench->delta.header_len = FWDELTA_HEADER_LEN_MAX + 1;
    CHECK(is_refused(bench, boot(bench), FWDELTA_E_TRUNCATED));
    bench->delta.header_len = good.delta.header_len;
    boots(bench);
}

static int32_t cancel_at(void *ctx, uint64_t done, uint64_t total)
{
    long *left = ctx;
    CHECK(done == 0 && total == 0);
    return --*left == 0;
}

/* Cancelled before any of its reads; then it goes on. */
static void cancelling(struct bench *bench)
{
    fwdelta_progress progress = { FWDELTA_ABI_VERSION, NULL, cancel_at };
    long at;
    for (at = 1;; at += 1 + at / 4) {
        long left = at;
        progress.ctx = &left;
        bench_renew(bench);
        bench->update.progress = &progress;
        if (boot(bench) == FWDELTA_OK) {
            break;
        }
        CHECK(is_refused(bench, bench->error.category, FWDELTA_E_CANCELLED) && left == 0);
        bench_reset(bench);
        bench->update.progress = NULL;
        boots(bench);
    }
    CHECK(at > 100);
    bench->update.progress = NULL;
}

/* Cuts of a delta file that is none. */
static void delta_files(struct bench *bench)
{
    struct bytes *file = &bench->file;
    fwdelta_delta delta;
    size_t len = file->len;
    bench_renew(bench);
    for (file->len = 0; file->len < len; file->len++) {
        fwdelta_status status = fwdelta_delta_of_file(&bench->payload, file->len, &delta,
                                                      &bench->error);
        uint16_t expected = file->len < 4 ? FWDELTA_E_BAD_MAGIC : FWDELTA_E_TRUNCATED;
        expected = file->len < bench->delta.payload_pos ? expected : FWDELTA_E_PAYLOAD_SIZE;
        CHECK(is_refused(bench, status, expected));
    }
    CHECK(fwdelta_delta_of_file(&bench->payload, len + 1, &delta, &bench->error)
          == FWDELTA_FORMAT);
    CHECK(bench->error.detail == FWDELTA_E_TRAILING_BYTES);
    file->data[1] ^= 1;
    CHECK(is_refused(bench, fwdelta_delta_of_file(&bench->payload, len, &delta, &bench->error),
                     FWDELTA_E_BAD_MAGIC));
    file->data[1] ^= 1;
    CHECK(fwdelta_delta_of_file(&bench->payload, len, &delta, &bench->error) == FWDELTA_OK);
    CHECK(memcmp(delta.header, bench->delta.header, delta.header_len) == 0);
}

/* A package: verified first, then applied in place without being verified again. */
static void packaged(const char *testdata, const char *packages)
{
    static struct rig rig;
    static struct bench bench;
    fwdelta_delta delta;
    size_t at;
    rig_open(&rig, packages, "in-place.suit");
    bench_images(&bench, testdata);
    for (at = 0; at < rig.package_bytes.len; at += 41) {
        rig.package_bytes.data[at] ^= 0x10;
        CHECK(fwdelta_delta_of_package(&rig.update, 0, NULL, 0, &delta, &rig.error)
              != FWDELTA_OK);
        CHECK(rig.error.category != FWDELTA_BUG && rig.error.category != FWDELTA_USAGE);
        rig.package_bytes.data[at] ^= 0x10;
    }
    rig.device.ef_fota[0] = 0;
    CHECK(refused(&rig, fwdelta_delta_of_package(&rig.update, 0, NULL, 0, &delta, &rig.error),
                  FWDELTA_E_FOTA_NOT_ALLOWED));
    rig.device.ef_fota[0] = 1;
    CHECK(refused(&rig, fwdelta_delta_of_package(&rig.update, 1, NULL, 0, &delta, &rig.error),
                  FWDELTA_E_BAD_ARGUMENT));
    CHECK(refused(&rig, fwdelta_delta_of_package(&rig.update, 0, NULL, 0, NULL, &rig.error),
                  FWDELTA_E_BAD_ARGUMENT));
    CHECK(fwdelta_delta_of_package(&rig.update, 0, NULL, 0, &bench.delta, &rig.error)
          == FWDELTA_OK);
    /* The other operator's approval is another decision. */
    memcpy(rig.device.plmn, "310410", 7);
    CHECK(fwdelta_delta_of_package(&rig.update, 0, NULL, 0, &delta, &rig.error) == FWDELTA_OK);
    CHECK(memcmp(delta.decision, bench.delta.decision, sizeof delta.decision) != 0);
    CHECK(memcmp(delta.header, bench.delta.header, delta.header_len) == 0);
    bench.file = allocate(rig.package_bytes.len);
    memcpy(bench.file.data, rig.package_bytes.data, rig.package_bytes.len);
    bench.payload = source_of(&bench.file);
    bench_flash(&bench, 1024, 16, 0xff);
    power_cuts(&bench, moment_count(40));
    damaged_payloads(&bench);
    bench_close(&bench);
    rig_close(&rig);
}

/* Not for two slots, and what is for two slots not for in place. */
static void kinds_are_kept_apart(const char *packages)
{
    static struct rig rig;
    fwdelta_delta delta;
    fwdelta_delta_info info;
    uint64_t len;
    rig_open(&rig, packages, "package.suit");
    CHECK(fwdelta_delta_of_package(&rig.update, 0, NULL, 0, &delta, &rig.error) == FWDELTA_OK);
    CHECK(fwdelta_delta_read(&delta, &rig.limits, &info, &rig.error) == FWDELTA_OK);
    CHECK(info.in_place == 0 && info.slot_len == 0 && info.has_old == 1);
    CHECK(refused(&rig,
                  fwdelta_in_place_scratch_len(&delta, &rig.limits, 4, rig.work,
                                               sizeof rig.work, &len, &rig.error),
                  FWDELTA_E_BAD_ARGUMENT));
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    char packages[512];
    long moments = moment_count(120);
    CHECK(argc == 2);
    snprintf(packages, sizeof packages, "%s/capi", argv[1]);
    bench_open(&bench, argv[1], "capi/in-place-small.fwd", 1024, 8, 0xff);
    printf("small: work %llu, scratch %llu bytes\n", (unsigned long long)bench.info.work_len,
           (unsigned long long)bench.scratch_table.len);
    power_cuts(&bench, moments);
    failing_drivers(&bench, moments);
    damaged_payloads(&bench);
    wrong_order(&bench);
    wrong_geometry(&bench);
    misuse(&bench);
    cancelling(&bench);
    delta_files(&bench);
    bench_close(&bench);
    bench_open(&bench, argv[1], "capi/in-place-tiny.fwd", 256, 32, 0x00);
    power_cuts(&bench, moments);
    bench_close(&bench);
    bench_open(&bench, argv[1], "capi/in-place-plain.fwd", 2048, 1, 0xff);
    power_cuts(&bench, moments);
    bench_close(&bench);
    bench_open(&bench, argv[1], "capi/in-place-mixed.fwd", 2048, 8, 0xff);
    bench.slot.first = mixed;
    bench.slot.first_count = 2;
    bench.slot_table = flash_table(&bench.slot);
    power_cuts(&bench, moments);
    wrong_sectors(&bench);
    bench_close(&bench);
    packaged(argv[1], packages);
    kinds_are_kept_apart(packages);
    return passed("in_place");
}
