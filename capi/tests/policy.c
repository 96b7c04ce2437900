/* What needs no package: new trust anchors by the golden vectors, the gate before a download, and
 * the records in non-volatile memory. Linked with the library that has the built-in Ed25519.
 *
 * policy TESTDATA */
#include "harness.h"

/* The library with the built-in Ed25519 asks for this. */
void fwdelta_panic(void)
{
    fputs("the library panicked\n", stderr);
    abort();
}

/* Every line of rotations.tsv gives the number it says. */
static void anchors_follow_each_other(const char *dir)
{
    char text[600];
    char name[64];
    char file[96];
    unsigned expect;
    int count = 0;
    struct bytes current = load(dir, "rotation-current.cbor");
    FILE *index;
    snprintf(text, sizeof text, "%s/rotations.tsv", dir);
    index = fopen(text, "r");
    CHECK(index != NULL);
    CHECK(fgets(text, sizeof text, index) != NULL);
    while (fgets(text, sizeof text, index) != NULL) {
        struct bytes given;
        fwdelta_anchor anchor;
        fwdelta_error error;
        CHECK(sscanf(text, "%63[^\t]\t%u", name, &expect) == 2);
        snprintf(file, sizeof file, "rotation-%s.cbor", name);
        given = load(dir, file);
        fwdelta_trust_accept(current.data, current.len, given.data, given.len, NULL, &anchor,
                             &error);
        if (error.detail != expect) {
            fprintf(stderr, "%s: %u, expected %u\n", name, (unsigned)error.detail, expect);
            CHECK(error.detail == expect);
        }
        if (expect == 0) {
            CHECK(anchor.version > 10 && anchor.anchor > given.data);
            CHECK(anchor.anchor + anchor.len < given.data + given.len);
            /* What is stored is an anchor that the next one is compared with. */
            CHECK(fwdelta_trust_accept(anchor.anchor, anchor.len, given.data, given.len, NULL,
                                       &anchor, &error) != FWDELTA_OK);
            CHECK(error.detail == FWDELTA_E_ROLLBACK ||
                  error.detail == FWDELTA_E_VENDOR_THRESHOLD);
        }
        free(given.data);
        count++;
    }
    CHECK(count > 15);
    fclose(index);
    free(current.data);
}

static fwdelta_device device_with(uint8_t condition)
{
    fwdelta_device device;
    memset(&device, 0, sizeof device);
    device.abi = FWDELTA_ABI_VERSION;
    device.sim = FWDELTA_SIM_WITH_FOTA;
    memcpy(device.plmn, "26201", 5);
    memset(device.ef_fota, 0x55, sizeof device.ef_fota);
    device.ef_fota[0] = condition;
    return device;
}

static void the_gate_asks_the_sim(const char *dir)
{
    struct bytes trust = load(dir, "trust-no-sim.cbor");
    fwdelta_device device = device_with(1);
    fwdelta_error error;
    CHECK(fwdelta_gate(trust.data, trust.len, &device, &error) == FWDELTA_OK);
    CHECK(error.detail == 0);
    device = device_with(0xfe);
    CHECK(fwdelta_gate(trust.data, trust.len, &device, &error) == FWDELTA_POLICY);
    CHECK(error.detail == FWDELTA_E_FOTA_NOT_ALLOWED);
    device.sim = FWDELTA_SIM_WITHOUT_FOTA;
    CHECK(fwdelta_gate(trust.data, trust.len, &device, NULL) == FWDELTA_OK);
    device.sim = FWDELTA_SIM_ABSENT;
    CHECK(fwdelta_gate(trust.data, trust.len, &device, &error) == FWDELTA_POLICY);
    CHECK(error.detail == FWDELTA_E_NO_SIM);
    CHECK(fwdelta_gate(trust.data, trust.len, NULL, &error) == FWDELTA_USAGE);
    CHECK(fwdelta_gate(trust.data, trust.len - 1, &device, &error) == FWDELTA_FORMAT);
    free(trust.data);
}

static void a_sim_is_handed_over(void)
{
    uint8_t record[FWDELTA_HANDOFF_LEN];
    uint8_t erased[FWDELTA_HANDOFF_LEN];
    fwdelta_device device = device_with(1);
    fwdelta_device found;
    fwdelta_error error;
    memset(&found, 0, sizeof found);
    found.abi = FWDELTA_ABI_VERSION;
    found.sequence = 7;
    CHECK(fwdelta_handoff_write(&device, record, &error) == FWDELTA_OK);
    CHECK(fwdelta_handoff_read(record, sizeof record, &found, &error) == FWDELTA_OK);
    CHECK(found.sim == FWDELTA_SIM_WITH_FOTA && strcmp(found.plmn, "26201") == 0);
    CHECK(memcmp(found.ef_fota, device.ef_fota, sizeof found.ef_fota) == 0);
    CHECK(found.sequence == 7);
    record[20] ^= 1;
    CHECK(fwdelta_handoff_read(record, sizeof record, &found, &error) == FWDELTA_STORAGE);
    CHECK(error.detail == FWDELTA_E_STATE_FAILED);
    memset(erased, 0xff, sizeof erased);
    CHECK(fwdelta_handoff_read(erased, sizeof erased, &found, &error) == FWDELTA_FORMAT);
    CHECK(error.detail == FWDELTA_E_BAD_MAGIC);
    /* A refusal leaves the device as it was. */
    CHECK(found.sim == FWDELTA_SIM_WITH_FOTA && found.sequence == 7);
    CHECK(fwdelta_handoff_write(&device, NULL, &error) == FWDELTA_USAGE);
    CHECK(fwdelta_handoff_read(NULL, sizeof record, &found, &error) == FWDELTA_USAGE);
}

static void results_are_kept(void)
{
    uint8_t record[FWDELTA_RESULT_LEN];
    uint8_t digest[32];
    fwdelta_outcome outcome;
    memset(digest, 9, sizeof digest);
    CHECK(fwdelta_result_write(FWDELTA_E_OPERATOR_MISMATCH, 7, digest, record) == FWDELTA_OK);
    CHECK(fwdelta_result_read(record, sizeof record, &outcome) == FWDELTA_OK);
    CHECK(outcome.detail == FWDELTA_E_OPERATOR_MISMATCH && outcome.sequence == 7);
    CHECK(memcmp(outcome.manifest, digest, sizeof digest) == 0);
    CHECK(fwdelta_result_write(0, 7, NULL, record) == FWDELTA_OK);
    CHECK(fwdelta_result_read(record, sizeof record, &outcome) == FWDELTA_OK);
    CHECK(outcome.detail == 0 && outcome.manifest[0] == 0);
    CHECK(fwdelta_result_write(9999, 7, NULL, record) == FWDELTA_USAGE);
    CHECK(fwdelta_result_read(record, sizeof record - 1, &outcome) == FWDELTA_FORMAT);
}

int main(int argc, char **argv)
{
    char dir[512];
    CHECK(argc == 2);
    snprintf(dir, sizeof dir, "%s/vectors", argv[1]);
    anchors_follow_each_other(dir);
    the_gate_asks_the_sim(dir);
    a_sim_is_handed_over();
    results_are_kept();
    return passed("policy");
}
