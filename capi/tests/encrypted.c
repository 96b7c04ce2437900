/* Encrypted packages from C. Runs the vectors of testdata/vectors/encrypted, streams one, and
 * rewrites an image in place with power cuts. Linked with the library that has all algorithms.
 *
 * encrypted TESTDATA */
#include "receiver.h"
#include "nor.h"
#include "slot.h"

/* Everyone verifies what is encrypted; only its recipients apply it. */
static int vector(struct receiver *receiver, const char *name, unsigned expect)
{
    struct rig *rig = &receiver->rig;
    struct flash flash = flash_of(receiver->new_bytes.len, 128, 4);
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
    CHECK(expect != 0 || flash_holds(&flash, &receiver->new_bytes));
    CHECK(expect != FWDELTA_E_NOT_RECIPIENT || flash_is_untouched(&flash));
    if (expect == 0) {
        CHECK(receiver->cell.unwrap_count >= 2 && receiver->cell.open_count > 5);
        rig->update.decryptor = NULL;
        CHECK(fwdelta_check(&rig->update, &part, 1, &rig->error) == FWDELTA_POLICY);
        CHECK(rig->error.detail == FWDELTA_E_NOT_RECIPIENT && rig->error.component == 0);
    }
    free(flash.cells.data);
    return expect == 0;
}

static void vectors(const char *dir)
{
    static struct receiver receiver;
    char name[64];
    char key[64];
    unsigned expect;
    int count = 0;
    int accepted = 0;
    FILE *index = index_of(dir, "index.tsv", "name\tkey\texpect\n");
    while (next_line(index, name, key, &expect)) {
        receiver_open(&receiver, dir, name, key);
        accepted += vector(&receiver, name, expect);
        receiver_close(&receiver);
        count++;
    }
    CHECK(count > 15 && accepted == 4);
    fclose(index);
    printf("%d vectors, %d accepted\n", count, accepted);
}

/* What a stream needs besides a receiver. */
struct feed {
    struct flash flash;
    fwdelta_target slot;
    fwdelta_delta delta;
    fwdelta_stream_state state;
    fwdelta_stream stream;
};

static void feed_open(struct feed *feed, struct receiver *receiver)
{
    struct rig *rig = &receiver->rig;
    memset(feed, 0, sizeof *feed);
    feed->flash = flash_of(receiver->new_bytes.len, 128, 4);
    feed->slot = target_of(&feed->flash);
    CHECK(receiver_delta(receiver, &feed->delta) == FWDELTA_OK);
    feed->stream.abi = FWDELTA_ABI_VERSION;
    feed->stream.delta = &feed->delta;
    feed->stream.slot = &feed->slot;
    feed->stream.limits = &rig->limits;
    feed->stream.decryptor = &receiver->decryptor;
    feed->stream.state = &feed->state;
    feed->stream.work = rig->work;
    feed->stream.work_len = sizeof rig->work;
}

/* Feeds the payload in pieces of `piece` bytes. */
static fwdelta_status feed_all(struct feed *feed, struct receiver *receiver, size_t piece)
{
    struct rig *rig = &receiver->rig;
    const uint8_t *payload = rig->package_bytes.data + feed->delta.payload_pos;
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
static void does_not_open(struct feed *feed, struct receiver *receiver, unsigned detail)
{
    struct rig *rig = &receiver->rig;
    CHECK(fwdelta_stream_open(&feed->stream, &rig->error) != FWDELTA_OK);
    CHECK(rig->error.detail == detail && rig->error.old_intact == 1);
    CHECK(feed_all(feed, receiver, 9) == FWDELTA_USAGE);
    CHECK(flash_is_untouched(&feed->flash));
}

/* What was stored of a delta, changed: it does not open, or is somebody else's. */
static void stored_deltas(struct feed *feed, struct receiver *receiver)
{
    struct rig *rig = &receiver->rig;
    fwdelta_sealing *sealing = &receiver->cell.sealing;
    const fwdelta_sealing good = *sealing;
    const uint16_t cipher = feed->delta.cipher;
    feed->stream.decryptor = NULL;
    does_not_open(feed, receiver, FWDELTA_E_NOT_RECIPIENT);
    feed->stream.decryptor = &receiver->decryptor;
    receiver->decryptor.sealing = NULL;
    does_not_open(feed, receiver, FWDELTA_E_BAD_ARGUMENT);
    receiver->decryptor.sealing = sealing;
    sealing->recipient.wrapped[3] ^= 1;
    does_not_open(feed, receiver, FWDELTA_E_NOT_DECRYPTED);
    *sealing = good;
    sealing->recipient.wrapped_len--;
    does_not_open(feed, receiver, FWDELTA_E_NOT_DECRYPTED);
    *sealing = good;
    sealing->recipient.kid[7] ^= 1;
    does_not_open(feed, receiver, FWDELTA_E_NOT_RECIPIENT);
    *sealing = good;
    sealing->recipient.algorithm = -5;
    does_not_open(feed, receiver, FWDELTA_E_NOT_DECRYPTED);
    *sealing = good;
    sealing->recipient.point[64] ^= 1;
    does_not_open(feed, receiver, FWDELTA_E_NOT_DECRYPTED);
    *sealing = good;
    sealing->recipient.cipher = FWDELTA_CIPHER_A128GCM;
    does_not_open(feed, receiver, FWDELTA_E_BAD_ARGUMENT);
    *sealing = good;
    feed->delta.cipher = 7;
    does_not_open(feed, receiver, FWDELTA_E_UNKNOWN_ALGORITHM);
    feed->delta.cipher = cipher;
    sealing->nonce[0] ^= 1;
    CHECK(fwdelta_stream_open(&feed->stream, &rig->error) == FWDELTA_OK);
    CHECK(feed_all(feed, receiver, 50) == FWDELTA_CORRUPT);
    CHECK(rig->error.detail == FWDELTA_E_NOT_DECRYPTED && flash_is_untouched(&feed->flash));
    *sealing = good;
    /* Said to be plain, it is taken for a delta that it is not. */
    feed->delta.cipher = FWDELTA_CIPHER_NONE;
    CHECK(fwdelta_stream_open(&feed->stream, &rig->error) == FWDELTA_OK);
    CHECK(feed_all(feed, receiver, 50) != FWDELTA_OK);
    feed->delta.cipher = cipher;
}

static void streaming(const char *dir)
{
    static struct receiver receiver;
    struct rig *rig = &receiver.rig;
    static struct feed feed;
    fwdelta_delta_info info;
    fwdelta_source medium;
    size_t pieces[] = { 1, 7, 64, 1000 };
    size_t at;
    receiver_open(&receiver, dir, "chacha20-poly1305-device", "device.key");
    feed_open(&feed, &receiver);
    CHECK(feed.delta.cipher == FWDELTA_CIPHER_CHACHA20_POLY1305);
    CHECK(receiver.cell.sealing.recipient.cipher == FWDELTA_CIPHER_CHACHA20_POLY1305);
    CHECK(receiver.cell.sealing.recipient.algorithm == FWDELTA_ECDH_ES_A128KW);
    CHECK(receiver.cell.sealing.recipient.point[0] == 4);
    CHECK(receiver.cell.sealing.recipient.wrapped_len == 40);
    CHECK(memcmp(receiver.cell.sealing.recipient.kid, receiver.cell.kid, 8) == 0);
    CHECK(fwdelta_delta_read(&feed.delta, &rig->limits, &info, &rig->error) == FWDELTA_OK);
    CHECK(info.in_place == 0);
    for (at = 0; at < sizeof pieces / sizeof *pieces; at++) {
        free(feed.flash.cells.data);
        feed_open(&feed, &receiver);
        CHECK(fwdelta_stream_open(&feed.stream, &rig->error) == FWDELTA_OK);
        CHECK(feed_all(&feed, &receiver, pieces[at]) == FWDELTA_OK);
        CHECK(flash_holds(&feed.flash, &receiver.new_bytes));
    }
    free(feed.flash.cells.data);
    feed_open(&feed, &receiver);
    medium = source_of(&rig->package_bytes);
    CHECK(fwdelta_stream_run(&feed.stream, &medium, &rig->error) == FWDELTA_OK);
    CHECK(flash_holds(&feed.flash, &receiver.new_bytes));
    free(feed.flash.cells.data);
    feed_open(&feed, &receiver);
    stored_deltas(&feed, &receiver);
    free(feed.flash.cells.data);
    receiver_close(&receiver);
}

/* An update in place, its chips and what a boot loader has of it. */
struct bench {
    struct receiver receiver;
    struct board board;
    struct nor slot;
    struct nor scratch;
    fwdelta_flash slot_table;
    fwdelta_flash scratch_table;
    fwdelta_delta delta;
    fwdelta_state state;
    fwdelta_in_place update;
    fwdelta_error error;
    /* the receiver's */
    struct bytes new_bytes;
    /* the old image where the new one goes, NULL if it is elsewhere */
    const struct bytes *in_slot;
};

#include "bench_in_place.h"

static void bench_open(struct bench *bench, const char *dir, const char *name, const char *key)
{
    struct receiver *receiver = &bench->receiver;
    struct rig *rig = &receiver->rig;
    fwdelta_delta_info info;
    uint64_t scratch_len = 0;
    memset(bench, 0, sizeof *bench);
    receiver_open(receiver, dir, name, key);
    bench->new_bytes = receiver->new_bytes;
    bench->in_slot = &receiver->old_bytes;
    CHECK(receiver_delta(receiver, &bench->delta) == FWDELTA_OK);
    CHECK(fwdelta_delta_read(&bench->delta, &rig->limits, &info, &rig->error) == FWDELTA_OK);
    CHECK(info.in_place == 1 && info.work_len <= sizeof rig->work);
    CHECK(fwdelta_in_place_scratch_len(&bench->delta, &rig->limits, 8, rig->work,
                                       sizeof rig->work, &scratch_len, &rig->error) == FWDELTA_OK);
    bench->board = board_of();
    bench->slot = nor_of(&bench->board, (size_t)info.slot_len, info.page_len, 8, 0xff);
    bench->scratch = nor_of(&bench->board, (size_t)scratch_len, info.page_len, 8, 0xff);
    bench->update.payload = &rig->package;
    bench->update.limits = &rig->limits;
    bench->update.decryptor = &receiver->decryptor;
    bench->update.work = rig->work;
    bench->update.work_len = (size_t)info.work_len;
    receiver->cell.unwrap_count = 0;
    bench_connect(bench);
    bench_renew(bench);
}

static void bench_close(struct bench *bench)
{
    nor_free(&bench->slot);
    nor_free(&bench->scratch);
    receiver_close(&bench->receiver);
}

/* What the cell unwrapped before is gone. */
static fwdelta_status boot(struct bench *bench)
{
    cell_reset(&bench->receiver.cell);
    return start(bench);
}

/* The content key is unwrapped anew at each start, and the update goes on. */
static void power_cuts(struct bench *bench, long moments)
{
    long count = undisturbed(bench);
    CHECK(bench->receiver.cell.unwrap_count == 2);
    nested_cuts(bench, count, moments);
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
    CHECK(bench->error.detail == FWDELTA_E_NOT_RECIPIENT && bench->error.old_intact == 1);
    CHECK(nor_holds(&bench->slot, &bench->receiver.old_bytes));
    bench->update.decryptor = &bench->receiver.decryptor;
    bench_renew(bench);
    bench->board.cut_at = count * 3 / 4;
    CHECK(boot(bench) == FWDELTA_STORAGE);
    bench_reset(bench);
    bench->update.decryptor = NULL;
    CHECK(boot(bench) == FWDELTA_POLICY);
    CHECK(bench->error.detail == FWDELTA_E_NOT_RECIPIENT && bench->error.old_intact == 0);
    CHECK(bench->board.operation_count == 0);
    bench->update.decryptor = &bench->receiver.decryptor;
    bench->receiver.cell.key[5] ^= 1;
    bench_reset(bench);
    CHECK(boot(bench) == FWDELTA_CORRUPT);
    CHECK(bench->error.detail == FWDELTA_E_NOT_DECRYPTED && bench->error.old_intact == 0);
    bench->receiver.cell.key[5] ^= 1;
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
            receiver_open(&bench.receiver, dir, name, key);
            CHECK(refused(&bench.receiver.rig, receiver_delta(&bench.receiver, &delta),
                          (uint16_t)expect));
            receiver_close(&bench.receiver);
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
    static struct receiver receiver;
    struct rig *rig = &receiver.rig;
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
    receiver_open(&receiver, dir, "a128gcm-group", "group.key");
    receiver.decryptor.abi = FWDELTA_ABI_VERSION - 1;
    CHECK(fwdelta_verify(&rig->update, &summary, NULL, 0, &rig->error) == FWDELTA_USAGE);
    receiver.decryptor = decryptor_of(&receiver.cell);
    receiver.decryptor.unwrap = NULL;
    CHECK(fwdelta_verify(&rig->update, &summary, NULL, 0, &rig->error) == FWDELTA_USAGE);
    receiver.decryptor = decryptor_of(&receiver.cell);
    receiver.decryptor.open = NULL;
    CHECK(fwdelta_verify(&rig->update, &summary, NULL, 0, &rig->error) == FWDELTA_USAGE);
    receiver_close(&receiver);
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
