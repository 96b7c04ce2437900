/* Encrypted packages from C: keys and ciphers are callbacks of this program, which are made of the
 * library's functions in software. Runs the vectors of testdata/vectors/encrypted, streams one, and
 * rewrites an image in place with power cuts. Linked with the library that has all algorithms.
 *
 * encrypted TESTDATA */
#include "nor.h"
#include "slot.h"

/* The library with algorithms built in asks for this. */
void fwdelta_panic(void)
{
    fputs("the library panicked\n", stderr);
    abort();
}

#define WORK_LEN 65536

/* What a crypto cell would hold: a key, and the content key that it unwrapped. */
struct cell {
    uint8_t kid[8];
    uint8_t key[32];
    size_t key_len;
    int32_t cipher;
    uint8_t content_key[FWDELTA_CONTENT_KEY_LEN];
    fwdelta_sealing sealing;
    unsigned long unwrap_count;
    unsigned long open_count;
};

static int32_t cell_unwrap(void *ctx, const fwdelta_recipient *recipient)
{
    struct cell *cell = ctx;
    cell->unwrap_count++;
    cell->cipher = recipient->cipher;
    return (int32_t)fwdelta_unwrap_key(recipient, cell->kid, cell->key, cell->key_len,
                                       cell->content_key);
}

static int32_t cell_open(void *ctx, const uint8_t nonce[12], const uint8_t *aad, size_t aad_len,
                         uint8_t *data, size_t data_len, const uint8_t tag[16])
{
    struct cell *cell = ctx;
    cell->open_count++;
    return (int32_t)fwdelta_open_chunk(cell->cipher, cell->content_key, nonce, aad, aad_len, data,
                                       data_len, tag);
}

static fwdelta_decryptor decryptor_of(struct cell *cell)
{
    fwdelta_decryptor decryptor = { FWDELTA_ABI_VERSION, NULL, cell_unwrap, cell_open, NULL };
    decryptor.ctx = cell;
    decryptor.sealing = &cell->sealing;
    return decryptor;
}

/* A reset: what was unwrapped is gone, the key is not. */
static void cell_reset(struct cell *cell)
{
    memset(cell->content_key, 0xee, sizeof cell->content_key);
    cell->cipher = 0;
}

static size_t hex_of(const char *text, uint8_t *bytes, size_t room)
{
    size_t len = strlen(text) / 2;
    size_t at;
    CHECK(len <= room);
    for (at = 0; at < len; at++) {
        unsigned byte = 0;
        CHECK(sscanf(text + 2 * at, "%2x", &byte) == 1);
        bytes[at] = (uint8_t)byte;
    }
    return len;
}

/* The key of this name. */
static struct cell cell_of(const char *dir, const char *name)
{
    struct cell cell;
    char path[600];
    char text[256];
    int is_found = 0;
    FILE *file;
    memset(&cell, 0, sizeof cell);
    snprintf(path, sizeof path, "%s/keys.tsv", dir);
    file = fopen(path, "r");
    CHECK(file != NULL);
    while (fgets(text, sizeof text, file) != NULL) {
        char found[64];
        char kid[64];
        char key[80];
        CHECK(sscanf(text, "%63s %63s %79s", found, kid, key) == 3);
        if (strcmp(found, name) == 0) {
            CHECK(hex_of(kid, cell.kid, sizeof cell.kid) == sizeof cell.kid);
            cell.key_len = hex_of(key, cell.key, sizeof cell.key);
            is_found = 1;
        }
    }
    CHECK(is_found && (cell.key_len == 16 || cell.key_len == 32));
    fclose(file);
    return cell;
}

/* A device without a SIM, and the package that is there for it. */
struct rig {
    struct bytes file;
    struct bytes trust;
    struct bytes old_bytes;
    struct bytes new_bytes;
    struct cell cell;
    fwdelta_source package;
    fwdelta_source old;
    fwdelta_device device;
    fwdelta_limits limits;
    fwdelta_decryptor decryptor;
    fwdelta_update update;
    fwdelta_error error;
    uint8_t envelope_buf[4096];
    uint8_t work[WORK_LEN];
};

static void rig_open(struct rig *rig, const char *dir, const char *name, const char *key)
{
    char file[80];
    memset(rig, 0, sizeof *rig);
    snprintf(file, sizeof file, "%s.suit", name);
    rig->file = load(dir, file);
    rig->trust = load(dir, "trust.cbor");
    rig->old_bytes = load(dir, "../old.bin");
    rig->new_bytes = load(dir, "../new.bin");
    rig->package = source_of(&rig->file);
    rig->old = source_of(&rig->old_bytes);
    rig->device.abi = FWDELTA_ABI_VERSION;
    rig->device.sim = FWDELTA_SIM_ABSENT;
    CHECK(fwdelta_limits_device(&rig->limits) == FWDELTA_OK);
    rig->update.abi = FWDELTA_ABI_VERSION;
    rig->update.package = &rig->package;
    rig->update.package_len = rig->file.len;
    rig->update.trust = rig->trust.data;
    rig->update.trust_len = rig->trust.len;
    rig->update.device = &rig->device;
    rig->update.limits = &rig->limits;
    rig->update.envelope_buf = rig->envelope_buf;
    rig->update.envelope_buf_len = sizeof rig->envelope_buf;
    rig->update.work = rig->work;
    rig->update.work_len = sizeof rig->work;
    if (strcmp(key, "-") != 0) {
        rig->cell = cell_of(dir, key);
        rig->decryptor = decryptor_of(&rig->cell);
        rig->update.decryptor = &rig->decryptor;
    }
}

static void rig_close(struct rig *rig)
{
    free(rig->file.data);
    free(rig->trust.data);
    free(rig->old_bytes.data);
    free(rig->new_bytes.data);
}

/* Lines NAME, KEY, EXPECT of an index; 0 at its end. */
static int next_line(FILE *index, char name[64], char key[64], unsigned *expect)
{
    char text[256];
    if (fgets(text, sizeof text, index) == NULL) {
        return 0;
    }
    CHECK(sscanf(text, "%63s %63s %u", name, key, expect) == 3);
    return 1;
}

static FILE *index_of(const char *dir, const char *name, const char *header)
{
    char text[600];
    FILE *index;
    snprintf(text, sizeof text, "%s/%s", dir, name);
    index = fopen(text, "r");
    CHECK(index != NULL && fgets(text, sizeof text, index) != NULL);
    CHECK(strcmp(text, header) == 0);
    return index;
}

/* Everyone verifies what is encrypted; only its recipients apply it. */
static int vector(struct rig *rig, const char *name, unsigned expect)
{
    struct flash flash = flash_of(rig->new_bytes.len, 128, 4);
    fwdelta_target slot = target_of(&flash);
    fwdelta_summary summary;
    fwdelta_component component;
    fwdelta_part part;
    fwdelta_status verdict;
    memset(&part, 0, sizeof part);
    part.slot = &slot;
    verdict = fwdelta_verify(&rig->update, &summary, &component, 1, &rig->error);
    if (expect / 100 == 2) {
        CHECK(verdict == FWDELTA_UNSUPPORTED && rig->error.detail == expect);
    } else {
        CHECK(verdict == FWDELTA_OK && component.is_encrypted == 1);
    }
    fwdelta_apply(&rig->update, &part, 1, &rig->error);
    if (rig->error.detail != expect) {
        fprintf(stderr, "%s: %u, expected %u\n", name, (unsigned)rig->error.detail, expect);
    }
    CHECK(rig->error.detail == expect && rig->error.old_intact == 1);
    CHECK(expect != 0 || flash_holds(&flash, &rig->new_bytes));
    CHECK(expect != FWDELTA_E_NOT_RECIPIENT || flash_is_untouched(&flash));
    if (expect == 0) {
        CHECK(rig->cell.unwrap_count >= 2 && rig->cell.open_count > 5);
        rig->update.decryptor = NULL;
        CHECK(fwdelta_check(&rig->update, &part, 1, &rig->error) == FWDELTA_POLICY);
        CHECK(rig->error.detail == FWDELTA_E_NOT_RECIPIENT && rig->error.component == 0);
    }
    free(flash.cells.data);
    return expect == 0;
}

static void vectors(const char *dir)
{
    static struct rig rig;
    char name[64];
    char key[64];
    unsigned expect;
    int count = 0;
    int accepted = 0;
    FILE *index = index_of(dir, "index.tsv", "name\tkey\texpect\n");
    while (next_line(index, name, key, &expect)) {
        rig_open(&rig, dir, name, key);
        accepted += vector(&rig, name, expect);
        rig_close(&rig);
        count++;
    }
    CHECK(count > 15 && accepted == 4);
    fclose(index);
    printf("%d vectors, %d accepted\n", count, accepted);
}

/* What a stream needs besides a rig. */
struct feed {
    struct flash flash;
    fwdelta_target slot;
    fwdelta_delta delta;
    fwdelta_stream_state state;
    fwdelta_stream stream;
};

static void feed_open(struct feed *feed, struct rig *rig)
{
    memset(feed, 0, sizeof *feed);
    feed->flash = flash_of(rig->new_bytes.len, 128, 4);
    feed->slot = target_of(&feed->flash);
    CHECK(fwdelta_delta_of_package(&rig->update, 0, NULL, 0, &feed->delta, &rig->error)
          == FWDELTA_OK);
    feed->stream.abi = FWDELTA_ABI_VERSION;
    feed->stream.delta = &feed->delta;
    feed->stream.slot = &feed->slot;
    feed->stream.limits = &rig->limits;
    feed->stream.decryptor = &rig->decryptor;
    feed->stream.state = &feed->state;
    feed->stream.work = rig->work;
    feed->stream.work_len = sizeof rig->work;
}

/* Feeds the payload in pieces of `piece` bytes. */
static fwdelta_status feed_all(struct feed *feed, struct rig *rig, size_t piece)
{
    const uint8_t *payload = rig->file.data + feed->delta.payload_pos;
    size_t at = 0;
    uint32_t wish = FWDELTA_STREAM_NEEDS_INPUT;
    while (wish != FWDELTA_STREAM_DONE) {
        size_t left = (size_t)feed->delta.payload_len - at;
        size_t taken = 0;
        fwdelta_status status = fwdelta_stream_feed(&feed->stream, payload + at,
                                                    left < piece ? left : piece, &taken, &wish,
                                                    &rig->error);
        if (status != FWDELTA_OK) {
            return status;
        }
        at += taken;
    }
    return fwdelta_stream_finish(&feed->stream, &rig->error);
}

/* Opening fails with this number, and then nothing is under way. */
static void refused(struct feed *feed, struct rig *rig, unsigned detail)
{
    CHECK(fwdelta_stream_open(&feed->stream, &rig->error) != FWDELTA_OK);
    CHECK(rig->error.detail == detail && rig->error.old_intact == 1);
    CHECK(feed_all(feed, rig, 9) == FWDELTA_USAGE);
    CHECK(flash_is_untouched(&feed->flash));
}

/* What was stored of a delta, changed: it does not open, or is somebody else's. */
static void stored_deltas(struct feed *feed, struct rig *rig)
{
    fwdelta_sealing *sealing = &rig->cell.sealing;
    const fwdelta_sealing good = *sealing;
    const uint16_t cipher = feed->delta.cipher;
    feed->stream.decryptor = NULL;
    refused(feed, rig, FWDELTA_E_NOT_RECIPIENT);
    feed->stream.decryptor = &rig->decryptor;
    rig->decryptor.sealing = NULL;
    refused(feed, rig, FWDELTA_E_BAD_ARGUMENT);
    rig->decryptor.sealing = sealing;
    sealing->recipient.wrapped[3] ^= 1;
    refused(feed, rig, FWDELTA_E_NOT_DECRYPTED);
    *sealing = good;
    sealing->recipient.wrapped_len--;
    refused(feed, rig, FWDELTA_E_NOT_DECRYPTED);
    *sealing = good;
    sealing->recipient.kid[7] ^= 1;
    refused(feed, rig, FWDELTA_E_NOT_RECIPIENT);
    *sealing = good;
    sealing->recipient.algorithm = -5;
    refused(feed, rig, FWDELTA_E_NOT_DECRYPTED);
    *sealing = good;
    sealing->recipient.point[64] ^= 1;
    refused(feed, rig, FWDELTA_E_NOT_DECRYPTED);
    *sealing = good;
    sealing->recipient.cipher = FWDELTA_CIPHER_A128GCM;
    refused(feed, rig, FWDELTA_E_BAD_ARGUMENT);
    *sealing = good;
    feed->delta.cipher = 7;
    refused(feed, rig, FWDELTA_E_UNKNOWN_ALGORITHM);
    feed->delta.cipher = cipher;
    sealing->nonce[0] ^= 1;
    CHECK(fwdelta_stream_open(&feed->stream, &rig->error) == FWDELTA_OK);
    CHECK(feed_all(feed, rig, 50) == FWDELTA_CORRUPT);
    CHECK(rig->error.detail == FWDELTA_E_NOT_DECRYPTED && flash_is_untouched(&feed->flash));
    *sealing = good;
    /* Said to be plain, it is taken for a delta that it is not. */
    feed->delta.cipher = FWDELTA_CIPHER_NONE;
    CHECK(fwdelta_stream_open(&feed->stream, &rig->error) == FWDELTA_OK);
    CHECK(feed_all(feed, rig, 50) != FWDELTA_OK);
    feed->delta.cipher = cipher;
}

static void streaming(const char *dir)
{
    static struct rig rig;
    static struct feed feed;
    fwdelta_delta_info info;
    fwdelta_source medium;
    size_t pieces[] = { 1, 7, 64, 1000 };
    size_t at;
    rig_open(&rig, dir, "chacha20-poly1305-device", "device.key");
    feed_open(&feed, &rig);
    CHECK(feed.delta.cipher == FWDELTA_CIPHER_CHACHA20_POLY1305);
    CHECK(rig.cell.sealing.recipient.cipher == FWDELTA_CIPHER_CHACHA20_POLY1305);
    CHECK(rig.cell.sealing.recipient.algorithm == FWDELTA_ECDH_ES_A128KW);
    CHECK(rig.cell.sealing.recipient.point[0] == 4);
    CHECK(rig.cell.sealing.recipient.wrapped_len == 40);
    CHECK(memcmp(rig.cell.sealing.recipient.kid, rig.cell.kid, 8) == 0);
    CHECK(fwdelta_delta_read(&feed.delta, &rig.limits, &info, &rig.error) == FWDELTA_OK);
    CHECK(info.in_place == 0);
    for (at = 0; at < sizeof pieces / sizeof *pieces; at++) {
        free(feed.flash.cells.data);
        feed_open(&feed, &rig);
        CHECK(fwdelta_stream_open(&feed.stream, &rig.error) == FWDELTA_OK);
        CHECK(feed_all(&feed, &rig, pieces[at]) == FWDELTA_OK);
        CHECK(flash_holds(&feed.flash, &rig.new_bytes));
    }
    free(feed.flash.cells.data);
    feed_open(&feed, &rig);
    medium = source_of(&rig.file);
    CHECK(fwdelta_stream_run(&feed.stream, &medium, &rig.error) == FWDELTA_OK);
    CHECK(flash_holds(&feed.flash, &rig.new_bytes));
    free(feed.flash.cells.data);
    feed_open(&feed, &rig);
    stored_deltas(&feed, &rig);
    free(feed.flash.cells.data);
    rig_close(&rig);
}

/* An update in place, its chips and what a boot loader has of it. */
struct bench {
    struct rig rig;
    struct board board;
    struct nor slot;
    struct nor scratch;
    fwdelta_flash slot_table;
    fwdelta_flash scratch_table;
    fwdelta_delta delta;
    fwdelta_state state;
    fwdelta_in_place update;
};

static void bench_reset(struct bench *bench)
{
    memset(&bench->state, 0, sizeof bench->state);
    memset(bench->rig.work, 0xa5, sizeof bench->rig.work);
    cell_reset(&bench->rig.cell);
    bench->board.has_power = 1;
    bench->board.cut_at = -1;
    bench->board.operation_count = 0;
}

static void bench_renew(struct bench *bench)
{
    nor_restore(&bench->slot, &bench->rig.old_bytes);
    nor_restore(&bench->scratch, NULL);
    bench_reset(bench);
}

static void bench_open(struct bench *bench, const char *dir, const char *name, const char *key)
{
    struct rig *rig = &bench->rig;
    fwdelta_delta_info info;
    uint64_t scratch_len = 0;
    memset(bench, 0, sizeof *bench);
    rig_open(rig, dir, name, key);
    CHECK(fwdelta_delta_of_package(&rig->update, 0, NULL, 0, &bench->delta, &rig->error)
          == FWDELTA_OK);
    CHECK(fwdelta_delta_read(&bench->delta, &rig->limits, &info, &rig->error) == FWDELTA_OK);
    CHECK(info.in_place == 1 && info.work_len <= sizeof rig->work);
    CHECK(fwdelta_in_place_scratch_len(&bench->delta, &rig->limits, 8, rig->work,
                                       sizeof rig->work, &scratch_len, &rig->error) == FWDELTA_OK);
    bench->board = board_of();
    bench->slot = nor_of(&bench->board, (size_t)info.slot_len, info.page_len, 8, 0xff);
    bench->scratch = nor_of(&bench->board, (size_t)scratch_len, info.page_len, 8, 0xff);
    bench->slot_table = flash_table(&bench->slot);
    bench->scratch_table = flash_table(&bench->scratch);
    bench->update.abi = FWDELTA_ABI_VERSION;
    bench->update.delta = &bench->delta;
    bench->update.slot = &bench->slot_table;
    bench->update.scratch = &bench->scratch_table;
    bench->update.payload = &rig->package;
    bench->update.limits = &rig->limits;
    bench->update.decryptor = &rig->decryptor;
    bench->update.state = &bench->state;
    bench->update.work = rig->work;
    bench->update.work_len = (size_t)info.work_len;
    rig->cell.unwrap_count = 0;
    bench_renew(bench);
}

static void bench_close(struct bench *bench)
{
    nor_free(&bench->slot);
    nor_free(&bench->scratch);
    rig_close(&bench->rig);
}

static fwdelta_status step_to_end(struct bench *bench)
{
    fwdelta_step step = { 0, 0, 0 };
    fwdelta_status status = FWDELTA_OK;
    while (!step.done && status == FWDELTA_OK) {
        status = fwdelta_in_place_step(&bench->update, &step, &bench->rig.error);
    }
    return status;
}

/* What a boot loader does at every start. */
static fwdelta_status boot(struct bench *bench)
{
    const fwdelta_in_place *update = &bench->update;
    fwdelta_error *error = &bench->rig.error;
    uint32_t found = 99;
    fwdelta_status status = fwdelta_in_place_look(update, &found, error);
    if (status != FWDELTA_OK || found == FWDELTA_FOUND_DONE) {
        return status;
    }
    if (found == FWDELTA_FOUND_BEGUN) {
        status = fwdelta_in_place_resume(update, error);
    } else {
        status = fwdelta_in_place_rehearse(update, error);
        if (status == FWDELTA_OK) {
            status = step_to_end(bench);
        }
        if (status == FWDELTA_OK) {
            status = fwdelta_in_place_begin(update, error);
        }
    }
    if (status == FWDELTA_OK) {
        status = step_to_end(bench);
    }
    return status == FWDELTA_OK ? fwdelta_in_place_finish(update, error) : status;
}

static void boots(struct bench *bench)
{
    CHECK(boot(bench) == FWDELTA_OK && nor_holds(&bench->slot, &bench->rig.new_bytes));
}

/* The power goes at many moments: the content key is unwrapped anew and the update goes on. */
static void power_cuts(struct bench *bench, long moments)
{
    long count;
    long every;
    long at;
    int kind;
    boots(bench);
    count = bench->board.operation_count;
    CHECK(bench->rig.cell.unwrap_count == 2);
    every = moments > 0 ? count / moments + 1 : 1;
    for (at = 0; at < count; at += every) {
        for (kind = 0; kind < CUT_COUNT; kind++) {
            bench_renew(bench);
            bench->board.random = (uint32_t)at * 31u + 7u;
            bench->board.cut = (enum cut)kind;
            bench->board.cut_at = at;
            CHECK(boot(bench) == FWDELTA_STORAGE);
            bench_reset(bench);
            boots(bench);
        }
    }
    printf("%ld operations\n", count);
}

/* A boot loader that lost its key, half-way: nothing is decoded, and nothing lost. */
static void without_the_key(struct bench *bench)
{
    long count;
    bench_renew(bench);
    boots(bench);
    count = bench->board.operation_count;
    bench_renew(bench);
    bench->update.decryptor = NULL;
    CHECK(boot(bench) == FWDELTA_POLICY);
    CHECK(bench->rig.error.detail == FWDELTA_E_NOT_RECIPIENT && bench->rig.error.old_intact == 1);
    CHECK(nor_holds(&bench->slot, &bench->rig.old_bytes));
    bench->update.decryptor = &bench->rig.decryptor;
    bench_renew(bench);
    bench->board.cut_at = count * 3 / 4;
    CHECK(boot(bench) == FWDELTA_STORAGE);
    bench_reset(bench);
    bench->update.decryptor = NULL;
    CHECK(boot(bench) == FWDELTA_POLICY);
    CHECK(bench->rig.error.detail == FWDELTA_E_NOT_RECIPIENT && bench->rig.error.old_intact == 0);
    CHECK(bench->board.operation_count == 0);
    bench->update.decryptor = &bench->rig.decryptor;
    bench->rig.cell.key[5] ^= 1;
    bench_reset(bench);
    CHECK(boot(bench) == FWDELTA_CORRUPT);
    CHECK(bench->rig.error.detail == FWDELTA_E_NOT_DECRYPTED && bench->rig.error.old_intact == 0);
    bench->rig.cell.key[5] ^= 1;
    bench_reset(bench);
    boots(bench);
}

static void in_place(const char *dir)
{
    static struct bench bench;
    char name[64];
    char key[64];
    unsigned expect;
    int count = 0;
    FILE *index = index_of(dir, "in-place.tsv", "name\tkey\texpect\tplain\n");
    while (next_line(index, name, key, &expect)) {
        if (expect == 0) {
            bench_open(&bench, dir, name, key);
            power_cuts(&bench, moment_count(60));
            without_the_key(&bench);
            bench_close(&bench);
            count++;
        } else {
            fwdelta_delta delta;
            rig_open(&bench.rig, dir, name, key);
            CHECK(fwdelta_delta_of_package(&bench.rig.update, 0, NULL, 0, &delta,
                                           &bench.rig.error) == expect / 100);
            CHECK(bench.rig.error.detail == expect);
            rig_close(&bench.rig);
        }
    }
    CHECK(count == 2);
    fclose(index);
}

/* Against another implementation of HKDF (Python's hmac), over the bytes 0 to 31. */
static void derivation(void)
{
    static const uint8_t expected[16] = { 0x57, 0x96, 0xde, 0x38, 0x10, 0xfc, 0xe4, 0x4f,
                                          0x1f, 0x9a, 0xfb, 0xd6, 0xe7, 0x73, 0x95, 0xeb };
    uint8_t shared[32];
    uint8_t kek[16];
    unsigned at;
    for (at = 0; at < sizeof shared; at++) {
        shared[at] = (uint8_t)at;
    }
    CHECK(fwdelta_derive_kek(shared, kek) == FWDELTA_OK);
    CHECK(memcmp(kek, expected, sizeof kek) == 0);
    CHECK(fwdelta_derive_kek(NULL, kek) == FWDELTA_USAGE);
    CHECK(fwdelta_derive_kek(shared, NULL) == FWDELTA_USAGE);
}

/* Every pointer that must not be NULL, every length and number that is none. */
static void misuse(const char *dir)
{
    static struct rig rig;
    uint8_t content_key[FWDELTA_CONTENT_KEY_LEN];
    uint8_t data[4] = { 1, 2, 3, 4 };
    uint8_t bytes[32] = { 0 };
    fwdelta_recipient recipient;
    fwdelta_summary summary;
    memset(&recipient, 0, sizeof recipient);
    recipient.cipher = FWDELTA_CIPHER_A128GCM;
    recipient.algorithm = FWDELTA_A128KW;
    recipient.wrapped_len = 24;
    CHECK(fwdelta_unwrap_key(NULL, bytes, bytes, 16, content_key) == FWDELTA_USAGE);
    CHECK(fwdelta_unwrap_key(&recipient, NULL, bytes, 16, content_key) == FWDELTA_USAGE);
    CHECK(fwdelta_unwrap_key(&recipient, bytes, NULL, 16, content_key) == FWDELTA_USAGE);
    CHECK(fwdelta_unwrap_key(&recipient, bytes, bytes, 17, content_key) == FWDELTA_USAGE);
    CHECK(fwdelta_unwrap_key(&recipient, bytes, bytes, 16, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_unwrap_key(&recipient, bytes, bytes, 16, content_key) == FWDELTA_CORRUPT);
    CHECK(fwdelta_unwrap_key(&recipient, bytes, bytes, 32, content_key) == FWDELTA_POLICY);
    recipient.wrapped_len = 41;
    CHECK(fwdelta_unwrap_key(&recipient, bytes, bytes, 16, content_key) == FWDELTA_USAGE);
    recipient.wrapped_len = 40;
    CHECK(fwdelta_unwrap_key(&recipient, bytes, bytes, 16, content_key) == FWDELTA_CORRUPT);
    CHECK(fwdelta_open_chunk(1, NULL, bytes, NULL, 0, data, 4, bytes) == FWDELTA_USAGE);
    CHECK(fwdelta_open_chunk(1, bytes, NULL, NULL, 0, data, 4, bytes) == FWDELTA_USAGE);
    CHECK(fwdelta_open_chunk(1, bytes, bytes, NULL, 1, data, 4, bytes) == FWDELTA_USAGE);
    CHECK(fwdelta_open_chunk(1, bytes, bytes, NULL, 0, NULL, 4, bytes) == FWDELTA_USAGE);
    CHECK(fwdelta_open_chunk(1, bytes, bytes, NULL, 0, data, 4, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_open_chunk(2, bytes, bytes, NULL, 0, data, 4, bytes) == FWDELTA_USAGE);
    CHECK(fwdelta_open_chunk(1, bytes, bytes, NULL, 0, data, 4, bytes) == FWDELTA_CORRUPT);
    rig_open(&rig, dir, "a128gcm-group", "group.key");
    rig.decryptor.abi = FWDELTA_ABI_VERSION - 1;
    CHECK(fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error) == FWDELTA_USAGE);
    rig.decryptor = decryptor_of(&rig.cell);
    rig.decryptor.unwrap = NULL;
    CHECK(fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error) == FWDELTA_USAGE);
    rig.decryptor = decryptor_of(&rig.cell);
    rig.decryptor.open = NULL;
    CHECK(fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error) == FWDELTA_USAGE);
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    char dir[512];
    CHECK(argc == 2);
    snprintf(dir, sizeof dir, "%s/vectors/encrypted", argv[1]);
    vectors(dir);
    streaming(dir);
    in_place(dir);
    derivation();
    misuse(dir);
    return passed("encrypted");
}
