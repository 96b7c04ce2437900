/* The example of docs/c-api.md, with files for storage; the part between the marks is what the
 * guide shows, word by word.
 *
 * example TESTDATA */
#include "harness.h"
#include "slot.h"

#include "fwdelta.h"

/* Ed25519 may meet a panic; a device resets here. */
void fwdelta_panic(void)
{
    abort();
}

/* The most this device ever lends; the linker knows that there is room for it. */
static uint8_t envelope_buf[4096];
static uint8_t work[10240];

static int32_t feed_watchdog(void *ctx, uint64_t done, uint64_t total)
{
    (void)ctx;
    (void)done;
    (void)total;
    return 0; /* anything else cancels */
}

/* Verifies the staged package and writes the new image to the other slot. Gives 0, or the number
 * to report (docs/format.md, section 2); `*sequence` is what to store once the image has booted. */
static uint16_t update(const fwdelta_source *package, uint64_t package_len,
                       const uint8_t *trust, size_t trust_len, const fwdelta_device *device,
                       const fwdelta_source *old, uint64_t old_len, const fwdelta_target *slot,
                       uint64_t *sequence)
{
    const fwdelta_progress progress = { FWDELTA_ABI_VERSION, NULL, feed_watchdog };
    fwdelta_limits limits;
    fwdelta_update request = { 0 };
    fwdelta_summary summary;
    fwdelta_component component;
    fwdelta_part part = { 0 };
    fwdelta_error error;

    fwdelta_limits_device(&limits);
    request.abi = FWDELTA_ABI_VERSION;
    request.package = package;
    request.package_len = package_len;
    request.trust = trust;
    request.trust_len = trust_len;
    request.device = device;
    request.limits = &limits;
    request.progress = &progress;
    request.envelope_buf = envelope_buf;
    request.envelope_buf_len = sizeof envelope_buf;
    request.work = work;
    request.work_len = sizeof work;

    /* Is it for us, and may it be applied? Ask the user here; nothing has been written. */
    if (fwdelta_verify(&request, &summary, &component, 1, &error) != FWDELTA_OK) {
        return error.detail;
    }
    if (summary.component_count != 1 || component.work_len > sizeof work) {
        return FWDELTA_E_WORKSPACE_TOO_SMALL;
    }

    part.old = old;
    part.old_len = old_len;
    part.slot = slot;
    if (fwdelta_apply(&request, &part, 1, &error) != FWDELTA_OK) {
        return error.detail; /* error.old_intact: the old image still boots */
    }
    *sequence = summary.sequence;
    return 0;
}

int main(int argc, char **argv)
{
    char dir[512];
    struct bytes package_bytes;
    struct bytes trust;
    struct bytes old_bytes;
    struct bytes new_bytes;
    struct flash flash;
    fwdelta_source package;
    fwdelta_source old;
    fwdelta_target slot;
    fwdelta_device device = { 0 };
    uint64_t sequence = 0;
    CHECK(argc == 2);
    snprintf(dir, sizeof dir, "%s/capi", argv[1]);
    package_bytes = load(dir, "package.suit");
    trust = load(dir, "trust.cbor");
    old_bytes = load(argv[1], "firmware/moondancer/old.bin");
    new_bytes = load(argv[1], "firmware/moondancer/new.bin");
    flash = flash_of(new_bytes.len, 1024, 32);
    package = source_of(&package_bytes);
    old = source_of(&old_bytes);
    slot = target_of(&flash);
    device.abi = FWDELTA_ABI_VERSION;
    device.sim = FWDELTA_SIM_ABSENT;
    device.has_sequence = 1;
    device.sequence = 8;
    CHECK(update(&package, package_bytes.len, trust.data, trust.len, &device, &old, old_bytes.len,
                 &slot, &sequence) == FWDELTA_E_ROLLBACK);
    CHECK(sequence == 0 && flash_is_untouched(&flash));
    device.sequence = 6;
    CHECK(update(&package, package_bytes.len, trust.data, trust.len, &device, &old, old_bytes.len,
                 &slot, &sequence) == 0);
    CHECK(sequence == 7 && flash_holds(&flash, &new_bytes));
    free(package_bytes.data);
    free(trust.data);
    free(old_bytes.data);
    free(new_bytes.data);
    free(flash.cells.data);
    return passed("example");
}
