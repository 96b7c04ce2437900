/* The library as it ships: signatures by callback. That this program links although nothing
 * defines fwdelta_panic shows that no path to a panic is left.
 *
 * callback TESTDATA */
#include "device.h"
#include "raw_frame.h"
#include "slot.h"

/* A crypto cell that believes everything, or nothing, and looks at what it is given. */
struct cell {
    int answer;
    int calls;
    uint8_t last_key[32];
};

static int32_t cell_verify(void *ctx, const uint8_t key[32], const uint8_t *message,
                           size_t message_len, const uint8_t signature[64])
{
    static const char context[] = "\x84\x6aSignature1";
    struct cell *cell = ctx;
    CHECK(message_len > sizeof context);
    CHECK(memcmp(message, context, sizeof context - 1) == 0);
    CHECK(signature[63] < 0x20 && memcmp(cell->last_key, key, 32) != 0);
    memcpy(cell->last_key, key, 32);
    cell->calls++;
    return cell->answer;
}

static void signatures(const char *packages)
{
    struct rig rig;
    struct cell cell = { 0, 0, { 0 } };
    fwdelta_crypto crypto = { FWDELTA_ABI_VERSION, NULL, cell_verify, NULL };
    fwdelta_summary summary;
    crypto.ctx = &cell;
    rig_open(&rig, packages, "package.suit");
    CHECK(refused(&rig, fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error),
                  FWDELTA_E_BAD_ARGUMENT));
    rig.update.crypto = &crypto;
    CHECK(fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error) == FWDELTA_OK);
    /* The vendor and two operators. */
    CHECK(cell.calls == 3 && summary.sequence == 7);
    cell.answer = 1;
    CHECK(refused(&rig, fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error),
                  FWDELTA_E_BAD_SIGNATURE));
    CHECK(cell.calls == 4);
    crypto.verify_ed25519 = NULL;
    CHECK(refused(&rig, fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error),
                  FWDELTA_E_BAD_ARGUMENT));
    CHECK(cell.calls == 4);
    rig_close(&rig);
}

/* A library for the other algorithms, which answers as it is told. */
struct other {
    int32_t answer;
    int32_t algorithm;
    size_t key_len;
    size_t signature_len;
};

static int32_t other_verify(void *ctx, int32_t algorithm, const uint8_t *key, size_t key_len,
                            const uint8_t *message, size_t message_len, const uint8_t *signature,
                            size_t signature_len)
{
    struct other *other = ctx;
    CHECK(message_len > 12 && memcmp(message, "\x84\x6aSignature1", 12) == 0);
    /* The whole of both can be read. */
    CHECK(key[key_len - 1] + signature[signature_len - 1] <= 2 * UINT8_MAX);
    other->algorithm = algorithm;
    other->key_len = key_len;
    other->signature_len = signature_len;
    return other->answer;
}

static int32_t believes(void *ctx, const uint8_t key[32], const uint8_t *message,
                        size_t message_len, const uint8_t signature[64])
{
    (void)ctx, (void)key, (void)message, (void)message_len, (void)signature;
    return 0;
}

/* A vector of another algorithm, with no library for it, with one that lacks it, that refuses, and
 * that accepts. Both fit the limits of a microcontroller. */
static void other_algorithm(const char *vectors, const char *package, const char *trust,
                            const struct other *expected)
{
    struct rig rig;
    struct other other = { 0, 0, 0, 0 };
    fwdelta_crypto crypto = { FWDELTA_ABI_VERSION, NULL, believes, NULL };
    fwdelta_summary summary;
    rig_open_bare(&rig, vectors, package);
    free(rig.trust.data);
    rig.trust = load(vectors, trust);
    rig.update.trust = rig.trust.data;
    rig.update.trust_len = rig.trust.len;
    crypto.ctx = &other;
    rig.update.crypto = &crypto;
    CHECK(refused(&rig, fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error),
                  FWDELTA_E_NOT_BUILT_IN));
    crypto.verify_other = other_verify;
    other.answer = FWDELTA_UNSUPPORTED;
    CHECK(refused(&rig, fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error),
                  FWDELTA_E_NOT_BUILT_IN));
    other.answer = -1;
    CHECK(refused(&rig, fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error),
                  FWDELTA_E_BAD_SIGNATURE));
    other.answer = 0;
    CHECK(fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error) == FWDELTA_OK);
    CHECK(memcmp(&other, expected, sizeof other) == 0);
    rig_close(&rig);
}

static void other_algorithms(const char *vectors)
{
    struct other esp256, lattice;
    memset(&esp256, 0, sizeof esp256);
    memset(&lattice, 0, sizeof lattice);
    esp256.algorithm = -9;
    esp256.key_len = 65;
    esp256.signature_len = 64;
    lattice.algorithm = -48;
    lattice.key_len = 1312;
    lattice.signature_len = 2420;
    other_algorithm(vectors, "valid-esp256.suit", "trust-esp256.cbor", &esp256);
    other_algorithm(vectors, "valid-hybrid.suit", "trust-hybrid.cbor", &lattice);
}

/* How a decompressor may misbehave. */
enum fault { FAULT_START, FAULT_RUN, FAULT_CONSUMED, FAULT_PRODUCED, FAULT_NONE };

struct faulty {
    struct raw_frame frame;
    enum fault fault;
};

static int32_t faulty_start(void *ctx, uint8_t window_log)
{
    struct faulty *faulty = ctx;
    return faulty->fault == FAULT_START ? -1 : raw_start(&faulty->frame, window_log);
}

static int32_t faulty_run(void *ctx, const uint8_t *input, size_t input_len, uint8_t *output,
                          size_t output_len, fwdelta_flow *flow)
{
    struct faulty *faulty = ctx;
    int32_t answer = raw_run(&faulty->frame, input, input_len, output, output_len, flow);
    flow->consumed = faulty->fault == FAULT_CONSUMED ? input_len + 1 : flow->consumed;
    flow->produced = faulty->fault == FAULT_PRODUCED ? SIZE_MAX : flow->produced;
    return faulty->fault == FAULT_RUN ? 1 : answer;
}

/* A vector under zstd, with no decompressor, with ones that lie, and with one that works. */
static void decompressors(const char *vectors)
{
    static const uint16_t expected[] = {
        FWDELTA_E_NOT_BUILT_IN, FWDELTA_E_BAD_STREAM, FWDELTA_E_BAD_ARGUMENT,
        FWDELTA_E_BAD_ARGUMENT, 0,
    };
    static uint8_t work[1 << 20];
    struct rig rig;
    struct cell cell = { 0, 0, { 0 } };
    struct bytes old_bytes = load(vectors, "old.bin");
    struct bytes new_bytes = load(vectors, "new.bin");
    struct faulty faulty;
    struct flash flash = flash_of(new_bytes.len, 1024, 1);
    fwdelta_crypto crypto = { FWDELTA_ABI_VERSION, NULL, cell_verify, NULL };
    fwdelta_decompressor decompressor = { FWDELTA_ABI_VERSION, NULL, faulty_start, faulty_run };
    fwdelta_source old = source_of(&old_bytes);
    fwdelta_target slot = target_of(&flash);
    fwdelta_part part = { NULL, 0, NULL, 0, NULL };
    int fault;
    rig_open_bare(&rig, vectors, "valid-streams.suit");
    CHECK(fwdelta_limits_linux(&rig.limits) == FWDELTA_OK);
    rig.update.work = work;
    rig.update.work_len = sizeof work;
    crypto.ctx = &cell;
    decompressor.ctx = &faulty;
    rig.update.crypto = &crypto;
    part.old = &old;
    part.old_len = old_bytes.len;
    part.slot = &slot;
    CHECK(refused(&rig, fwdelta_check(&rig.update, &part, 1, &rig.error), FWDELTA_E_NOT_BUILT_IN));
    rig.update.decompressor = &decompressor;
    for (fault = FAULT_START; fault <= FAULT_NONE; fault++) {
        CHECK(flash_is_untouched(&flash));
        memset(cell.last_key, 0, sizeof cell.last_key);
        faulty.fault = (enum fault)fault;
        CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error), expected[fault]));
    }
    CHECK(flash_holds(&flash, &new_bytes));
    free(flash.cells.data);
    free(old_bytes.data);
    free(new_bytes.data);
    rig_close(&rig);
}

/* This library leaves keys and ciphers to callbacks: it derives, and does nothing in software. */
static void decryption(void)
{
    uint8_t bytes[32] = { 0 };
    uint8_t out[32];
    fwdelta_recipient recipient;
    memset(&recipient, 0, sizeof recipient);
    CHECK(fwdelta_derive_kek(bytes, out) == FWDELTA_OK);
    CHECK(fwdelta_unwrap_key(&recipient, bytes, bytes, 16, out) == FWDELTA_UNSUPPORTED);
    CHECK(fwdelta_open_chunk(1, bytes, bytes, NULL, 0, NULL, 0, bytes) == FWDELTA_UNSUPPORTED);
}

int main(int argc, char **argv)
{
    char dir[512];
    CHECK(argc == 2);
    decryption();
    snprintf(dir, sizeof dir, "%s/capi", argv[1]);
    signatures(dir);
    snprintf(dir, sizeof dir, "%s/vectors", argv[1]);
    other_algorithms(dir);
    decompressors(dir);
    return passed("callback");
}
