/* Verifies and applies real packages from testdata as a device does, and is refused as it should
 * be. Linked with the library that has the built-in Ed25519.
 *
 * apply TESTDATA */
#include "device.h"
#include "slot.h"

/* The library with the built-in Ed25519 asks for this. */
void fwdelta_panic(void)
{
    fputs("the library panicked\n", stderr);
    abort();
}

/* One component's storage: old image, slot, expected new image. */
struct store {
    struct bytes old_bytes;
    struct bytes new_bytes;
    fwdelta_source old;
    struct flash flash;
    fwdelta_target slot;
};

static void store_open(struct store *store, const char *testdata, const char *firmware)
{
    char name[64];
    snprintf(name, sizeof name, "firmware/%s/old.bin", firmware);
    store->old_bytes = load(testdata, name);
    snprintf(name, sizeof name, "firmware/%s/new.bin", firmware);
    store->new_bytes = load(testdata, name);
    store->old = source_of(&store->old_bytes);
    store->flash = flash_of(store->new_bytes.len, 4096, 8);
    store->slot = target_of(&store->flash);
}

static void store_close(struct store *store)
{
    free(store->old_bytes.data);
    free(store->new_bytes.data);
    free(store->flash.cells.data);
}

static fwdelta_part part_of(const struct store *store)
{
    fwdelta_part part = { &store->old, store->old_bytes.len, NULL, 0, &store->slot };
    return part;
}

static int32_t count_step(void *ctx, uint64_t done, uint64_t total)
{
    uint64_t *last = ctx;
    CHECK(done <= total + 8);
    last[0]++;
    last[1] = done;
    last[2] = total;
    return 0;
}

static void one_component(const char *testdata, const char *packages)
{
    struct rig rig;
    struct store store;
    fwdelta_summary summary;
    fwdelta_component component;
    fwdelta_part part;
    uint64_t steps[3] = { 0, 0, 0 };
    fwdelta_progress progress = { FWDELTA_ABI_VERSION, steps, count_step };
    rig_open(&rig, packages, "package.suit");
    store_open(&store, testdata, "moondancer");
    rig.update.progress = &progress;

    CHECK(fwdelta_verify(&rig.update, &summary, &component, 1, &rig.error) == FWDELTA_OK);
    CHECK(rig.error.detail == 0 && rig.error.old_intact == 1);
    CHECK(summary.sequence == 7 && summary.component_count == 1);
    CHECK(summary.decision == FWDELTA_APPROVED && summary.approval_mode == FWDELTA_MODE_SIGNED);
    CHECK(strcmp(summary.approved_by, "26201") == 0);
    CHECK(component.name_len == 4 && memcmp(component.name, "main", 4) == 0);
    CHECK(component.payload_uri == NULL && component.payload_name == NULL);
    CHECK(component.has_old == 1 && component.old_len == store.old_bytes.len);
    CHECK(component.new_len == store.new_bytes.len);
    CHECK(component.work_len > 0 && component.work_len <= WORK_LEN);
    printf("moondancer: package %zu, payload %llu, new %zu bytes; work %llu bytes\n",
           rig.package_bytes.len, (unsigned long long)component.payload_len,
           store.new_bytes.len, (unsigned long long)component.work_len);

    part = part_of(&store);
    rig.update.work_len = (size_t)component.work_len;
    CHECK(fwdelta_check(&rig.update, &part, 1, &rig.error) == FWDELTA_OK);
    CHECK(flash_is_untouched(&store.flash) && steps[0] > 0 && steps[2] == 0);
    CHECK(fwdelta_apply(&rig.update, &part, 1, &rig.error) == FWDELTA_OK);
    CHECK(flash_holds(&store.flash, &store.new_bytes));
    CHECK(steps[2] == store.new_bytes.len && steps[1] > 0);
    store_close(&store);
    rig_close(&rig);
}

static void two_components(const char *testdata, const char *packages)
{
    struct rig rig;
    struct store boot;
    struct store app;
    fwdelta_summary summary;
    fwdelta_component components[FWDELTA_COMPONENT_COUNT_MAX];
    fwdelta_part parts[2];
    rig_open(&rig, packages, "pair.suit");
    store_open(&boot, testdata, "apollo");
    store_open(&app, testdata, "moondancer");
    parts[0] = part_of(&boot);
    parts[1] = part_of(&app);
    CHECK(fwdelta_verify(&rig.update, &summary, components, 8, &rig.error) == FWDELTA_OK);
    CHECK(summary.component_count == 2);
    CHECK(components[0].name_len == 4 && memcmp(components[0].name, "boot", 4) == 0);
    CHECK(components[1].name_len == 3 && memcmp(components[1].name, "app", 3) == 0);
    CHECK(memcmp(components[0].new_digest, components[1].new_digest, 32) != 0);

    /* A wrong second component keeps the first from being written. */
    app.old_bytes.data[100] ^= 1;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, parts, 2, &rig.error), FWDELTA_E_OLD_DIGEST));
    CHECK(rig.error.component == 1);
    app.old_bytes.data[100] ^= 1;
    app.slot.len = 4096;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, parts, 2, &rig.error), FWDELTA_E_NO_SPACE));
    CHECK(rig.error.component == 1);
    app.slot.len = app.flash.cells.len;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, parts, 1, &rig.error), FWDELTA_E_BAD_ARGUMENT));
    CHECK(flash_is_untouched(&boot.flash) && flash_is_untouched(&app.flash));

    CHECK(fwdelta_apply(&rig.update, parts, 2, &rig.error) == FWDELTA_OK);
    CHECK(flash_holds(&boot.flash, &boot.new_bytes) && flash_holds(&app.flash, &app.new_bytes));
    store_close(&boot);
    store_close(&app);
    rig_close(&rig);
}

static void detached_payload(const char *testdata, const char *packages)
{
    struct rig rig;
    struct store store;
    struct bytes payload_bytes;
    fwdelta_source payload;
    fwdelta_summary summary;
    fwdelta_component component;
    fwdelta_part part;
    char name[256];
    rig_open(&rig, packages, "detached.suit");
    store_open(&store, testdata, "apollo");
    part = part_of(&store);
    CHECK(fwdelta_verify(&rig.update, &summary, &component, 1, &rig.error) == FWDELTA_OK);
    CHECK(component.payload_uri != NULL && component.payload_name_len < sizeof name);
    CHECK(component.payload_uri_len > component.payload_name_len);
    memcpy(name, component.payload_name, component.payload_name_len);
    name[component.payload_name_len] = '\0';
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error),
                  FWDELTA_E_MISSING_PAYLOAD));

    payload_bytes = load(packages, name);
    payload = source_of(&payload_bytes);
    part.payload = &payload;
    part.payload_len = payload_bytes.len - 1;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error),
                  FWDELTA_E_PAYLOAD_SIZE));
    part.payload_len = payload_bytes.len;
    payload_bytes.data[7] ^= 1;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error),
                  FWDELTA_E_PAYLOAD_DIGEST));
    payload_bytes.data[7] ^= 1;
    CHECK(flash_is_untouched(&store.flash));
    CHECK(fwdelta_apply(&rig.update, &part, 1, &rig.error) == FWDELTA_OK);
    CHECK(flash_holds(&store.flash, &store.new_bytes));
    free(payload_bytes.data);
    store_close(&store);
    rig_close(&rig);
}

static void full_image(const char *testdata, const char *packages)
{
    struct rig rig;
    struct store store;
    fwdelta_part part;
    rig_open(&rig, packages, "full.suit");
    store_open(&store, testdata, "apollo");
    part = part_of(&store);
    part.old = NULL;
    part.old_len = 0;
    CHECK(fwdelta_apply(&rig.update, &part, 1, &rig.error) == FWDELTA_OK);
    CHECK(flash_holds(&store.flash, &store.new_bytes));
    store_close(&store);
    rig_close(&rig);
}

static void wrong_old_images(const char *testdata, const char *packages)
{
    struct rig rig;
    struct store store;
    fwdelta_part part;
    rig_open(&rig, packages, "package.suit");
    store_open(&store, testdata, "moondancer");
    part = part_of(&store);
    store.old_bytes.data[store.old_bytes.len - 1] ^= 0x80;
    CHECK(refused(&rig, fwdelta_check(&rig.update, &part, 1, &rig.error), FWDELTA_E_OLD_DIGEST));
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error), FWDELTA_E_OLD_DIGEST));
    part.old_len--;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error), FWDELTA_E_OLD_SIZE));
    part.old = NULL;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error), FWDELTA_E_MISSING_OLD));
    CHECK(flash_is_untouched(&store.flash));
    store_close(&store);
    rig_close(&rig);
}

/* A flip anywhere is refused before anything is written. */
static void flipped_bytes(const char *testdata, const char *packages)
{
    struct rig rig;
    struct store store;
    fwdelta_part part;
    size_t at;
    int signatures = 0;
    int payloads = 0;
    rig_open(&rig, packages, "package.suit");
    store_open(&store, testdata, "moondancer");
    part = part_of(&store);
    for (at = 0; at < rig.package_bytes.len; at += at < 1200 ? 1 : 97) {
        fwdelta_status status;
        rig.package_bytes.data[at] ^= 0x10;
        status = fwdelta_apply(&rig.update, &part, 1, &rig.error);
        rig.package_bytes.data[at] ^= 0x10;
        CHECK(status != FWDELTA_OK && status == rig.error.category && rig.error.detail != 0);
        CHECK(status != FWDELTA_BUG && status != FWDELTA_USAGE && rig.error.old_intact == 1);
        CHECK(flash_is_untouched(&store.flash));
        signatures += status == FWDELTA_SIGNATURE;
        payloads += rig.error.detail == FWDELTA_E_PAYLOAD_DIGEST;
    }
    CHECK(signatures > 0 && payloads > 0);
    /* And the control: with nothing flipped it is accepted. */
    CHECK(fwdelta_apply(&rig.update, &part, 1, &rig.error) == FWDELTA_OK);
    store_close(&store);
    rig_close(&rig);
}

static void policy(const char *testdata, const char *packages)
{
    struct rig rig;
    struct store store;
    fwdelta_part part;
    fwdelta_summary summary;
    rig_open(&rig, packages, "package.suit");
    store_open(&store, testdata, "moondancer");
    part = part_of(&store);
    rig.device.sequence = 8;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error), FWDELTA_E_ROLLBACK));
    rig.device.sequence = 7;
    rig.device.ef_fota[0] = 0;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error),
                  FWDELTA_E_FOTA_NOT_ALLOWED));
    rig.device.ef_fota[0] = 1;
    rig.device.ef_fota[16] ^= 1;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error),
                  FWDELTA_E_STRING_MISMATCH));
    memcpy(rig.device.plmn, "20801", 6);
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error),
                  FWDELTA_E_OPERATOR_MISMATCH));
    CHECK(flash_is_untouched(&store.flash));
    memcpy(rig.device.plmn, "310410", 7);
    CHECK(fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error) == FWDELTA_OK);
    CHECK(strcmp(summary.approved_by, "310410") == 0);
    rig.device.sim = FWDELTA_SIM_WITHOUT_FOTA;
    CHECK(fwdelta_verify(&rig.update, &summary, NULL, 0, &rig.error) == FWDELTA_OK);
    CHECK(summary.decision == FWDELTA_WITHOUT_FOTA && summary.approval_mode == FWDELTA_MODE_NONE);
    CHECK(summary.approved_by[0] == '\0');
    store_close(&store);
    rig_close(&rig);
}

static int32_t cancel_at(void *ctx, uint64_t done, uint64_t total)
{
    int *left = ctx;
    (void)done;
    (void)total;
    return --*left == 0;
}

static void failing_drivers_and_cancelling(const char *testdata, const char *packages)
{
    struct rig rig;
    struct store store;
    fwdelta_part part;
    int step;
    rig_open(&rig, packages, "package.suit");
    store_open(&store, testdata, "moondancer");
    part = part_of(&store);
    rig.update.package_len += 5;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error),
                  FWDELTA_E_TRAILING_BYTES));
    rig.update.package_len -= 5;
    rig.package_bytes.len = 40;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error), FWDELTA_E_READ_FAILED));
    rig.package_bytes.len = (size_t)rig.update.package_len;
    store.flash.program_budget = 2;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error), FWDELTA_E_WRITE_FAILED));
    CHECK(rig.error.component == 0 && rig.error.pos > 0);
    /* Cancelled at every step there is, until there are no more. */
    for (step = 1;; step++) {
        int left = step;
        fwdelta_progress progress = { FWDELTA_ABI_VERSION, NULL, cancel_at };
        fwdelta_status status;
        progress.ctx = &left;
        rig.update.progress = &progress;
        status = fwdelta_check(&rig.update, &part, 1, &rig.error);
        if (status == FWDELTA_OK) {
            break;
        }
        CHECK(refused(&rig, status, FWDELTA_E_CANCELLED) && left == 0);
    }
    CHECK(step > 20);
    store_close(&store);
    rig_close(&rig);
}

/* Every pointer that must not be NULL, every version and every missing callback. */
static void misuse(const char *testdata, const char *packages)
{
    struct rig rig;
    struct rig good;
    struct store store;
    fwdelta_part part;
    fwdelta_part good_part;
    fwdelta_summary summary;
    fwdelta_component component;
    fwdelta_codes codes;
    fwdelta_decompressor decompressor = { FWDELTA_ABI_VERSION, NULL, NULL, NULL };
    rig_open(&rig, packages, "package.suit");
    store_open(&store, testdata, "moondancer");
    part = part_of(&store);
    good = rig;
    good_part = part;

#define MISUSED(change)                                                                            \
    do {                                                                                           \
        change;                                                                                    \
        CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error),                      \
                      FWDELTA_E_BAD_ARGUMENT));                                                    \
        rig.update = good.update;                                                                  \
        rig.device = good.device;                                                                  \
        rig.package = good.package;                                                                \
        part = good_part;                                                                          \
        store.slot = target_of(&store.flash);                                                      \
        store.old = source_of(&store.old_bytes);                                                   \
    } while (0)

    MISUSED(rig.update.abi = 1);
    MISUSED(rig.update.package = NULL);
    MISUSED(rig.update.trust = NULL);
    MISUSED(rig.update.device = NULL);
    MISUSED(rig.update.limits = NULL);
    MISUSED(rig.update.envelope_buf = NULL);
    MISUSED(rig.update.work = NULL);
    MISUSED(rig.update.work_len = 0);
    MISUSED(rig.update.work_len = SIZE_MAX);
    MISUSED(rig.update.decompressor = &decompressor);
    MISUSED(rig.package.abi = 0);
    MISUSED(rig.package.read = NULL);
    MISUSED(rig.device.abi = 7);
    MISUSED(rig.device.sim = 3);
    MISUSED(memset(rig.device.plmn, '1', sizeof rig.device.plmn));
    MISUSED(memcpy(rig.device.plmn, "262", 4));
    MISUSED(part.slot = NULL);
    MISUSED(store.slot.abi = 1);
    MISUSED(store.slot.erase = NULL);
    MISUSED(store.slot.program = NULL);
    MISUSED(store.slot.sync = NULL);
    MISUSED(store.slot.write_len = 0);
    MISUSED(store.slot.write_len = 64);
    MISUSED(store.slot.sector_len = 0);
    MISUSED(store.old.read = NULL);
    MISUSED(rig.update.package = (const fwdelta_source *)(const void *)((char *)&rig.package + 1));
#undef MISUSED
    CHECK(flash_is_untouched(&store.flash));
    CHECK(fwdelta_apply(NULL, &part, 1, &rig.error) == FWDELTA_USAGE);
    CHECK(fwdelta_apply(&rig.update, NULL, 1, &rig.error) == FWDELTA_USAGE);
    CHECK(fwdelta_apply(&rig.update, &part, 9, &rig.error) == FWDELTA_USAGE);
    CHECK(fwdelta_apply(NULL, NULL, 0, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_check(NULL, &part, 1, &rig.error) == FWDELTA_USAGE);
    CHECK(fwdelta_verify(NULL, &summary, NULL, 0, &rig.error) == FWDELTA_USAGE);
    CHECK(fwdelta_verify(&rig.update, NULL, NULL, 0, &rig.error) == FWDELTA_USAGE);
    CHECK(fwdelta_verify(&rig.update, &summary, NULL, 1, &rig.error) == FWDELTA_USAGE);
    CHECK(fwdelta_verify(&rig.update, &summary, &component, 1, NULL) == FWDELTA_OK);
    CHECK(fwdelta_limits_device(NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_limits_linux(NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_codes_of(0, NULL) == FWDELTA_USAGE);
    CHECK(fwdelta_codes_of(100, &codes) == FWDELTA_USAGE);
    rig.update.work_len = 16;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error),
                  FWDELTA_E_WORKSPACE_TOO_SMALL));
    rig.update.work_len = sizeof rig.work;
    rig.update.envelope_buf_len = 64;
    CHECK(refused(&rig, fwdelta_apply(&rig.update, &part, 1, &rig.error),
                  FWDELTA_E_ENVELOPE_TOO_LARGE));
    store_close(&store);
    rig_close(&rig);
}

static void names_and_codes(void)
{
    fwdelta_codes codes;
    CHECK(fwdelta_abi_version() == FWDELTA_ABI_VERSION);
    CHECK(strcmp(fwdelta_error_name(0), "Ok") == 0);
    CHECK(strcmp(fwdelta_error_name(FWDELTA_E_ROLLBACK), "Rollback") == 0);
    CHECK(strcmp(fwdelta_error_name(FWDELTA_E_UNREFERENCED_PAYLOAD), "UnreferencedPayload") == 0);
    CHECK(strcmp(fwdelta_error_name(100), "Unknown") == 0);
    CHECK(fwdelta_codes_of(0, &codes) == FWDELTA_OK);
    CHECK(codes.fumo == 200 && codes.install_notify == 900 && codes.lwm2m == 1);
    CHECK(fwdelta_codes_of(FWDELTA_E_BAD_SIGNATURE, &codes) == FWDELTA_OK);
    CHECK(codes.fumo == 404 && codes.install_notify == 953 && codes.lwm2m == 5);
}

int main(int argc, char **argv)
{
    char packages[512];
    CHECK(argc == 2);
    snprintf(packages, sizeof packages, "%s/capi", argv[1]);
    one_component(argv[1], packages);
    two_components(argv[1], packages);
    detached_payload(argv[1], packages);
    full_image(argv[1], packages);
    wrong_old_images(argv[1], packages);
    flipped_bytes(argv[1], packages);
    policy(argv[1], packages);
    failing_drivers_and_cancelling(argv[1], packages);
    misuse(argv[1], packages);
    names_and_codes();
    return passed("apply");
}
