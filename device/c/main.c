/* Updates the other slot through the C interface, and cuts its own power once: see board.h. Every
 * start is what a device does: verify and apply the staged package. */
#include "board.h"
#include "fwdelta.h"

#define ENVELOPE_LEN 2048u
#define TRUST_LEN 256u

#if defined(WITH_ED25519)
void fwdelta_panic(void)
{
    report("error panic", 1);
    finish(0);
}
#else
/* Stands for a crypto cell, and takes every signature: what Ed25519 needs beside two buffers does
 * not fit 16 KiB. */
static int32_t cell(void *ctx, const uint8_t key[32], const uint8_t *message, size_t message_len,
                    const uint8_t signature[64])
{
    (void)key;
    (void)message;
    (void)signature;
    *(uint32_t *)ctx += 1;
    return message_len == 0;
}
#endif

static struct part part_of(uint32_t pos, uint32_t len, struct cut *cut)
{
    struct part part;

    part.pos = pos;
    part.len = len;
    part.cut = cut;
    return part;
}

static fwdelta_source source_of(struct part *part)
{
    fwdelta_source source;

    source.abi = FWDELTA_ABI_VERSION;
    source.ctx = part;
    source.read = part_read;
    return source;
}

static fwdelta_target target_of(struct part *part)
{
    fwdelta_target target;

    target.abi = FWDELTA_ABI_VERSION;
    target.sector_len = PAGE_LEN;
    target.len = part->len;
    target.write_len = WRITE_LEN;
    target.erased = 0xff;
    target.ctx = part;
    target.erase = part_erase;
    target.program = part_program;
    target.sync = part_sync;
    return target;
}

/* Verifies and applies; gives 0 or the number of the rule that was broken. */
static uint32_t update(struct cut *cut)
{
    uint8_t work[WORK_LEN];
    uint8_t envelope_buf[ENVELOPE_LEN];
    uint8_t trust_bytes[TRUST_LEN];
    struct part trust = part_of(TRUST_POS, PAGE_LEN, cut);
    struct part staged = part_of(PACKAGE_POS, STAGED_LEN - PAGE_LEN, cut);
    struct part slot = part_of(SLOT_POS, SLOT_LEN, cut);
    struct part other = part_of(OTHER_POS, SLOT_LEN, cut);
    fwdelta_source package = source_of(&staged);
    fwdelta_source old = source_of(&slot);
    fwdelta_target new_slot = target_of(&other);
    fwdelta_device device = { 0 };
    fwdelta_update request = { 0 };
    fwdelta_component component;
    fwdelta_summary summary;
    fwdelta_part parts = { 0 };
    fwdelta_limits limits;
    fwdelta_error error;
#if !defined(WITH_ED25519)
    uint32_t signature_count = 0;
    fwdelta_crypto crypto = { FWDELTA_ABI_VERSION, NULL, cell };

    crypto.ctx = &signature_count;
    request.crypto = &crypto;
#endif
    if (part_read(&trust, 0, trust_bytes, sizeof trust_bytes) != 0) {
        return FWDELTA_E_READ_FAILED;
    }
    device.abi = FWDELTA_ABI_VERSION;
    device.sim = FWDELTA_SIM_ABSENT;
    fwdelta_limits_device(&limits);
    limits.envelope_len = ENVELOPE_LEN;
    request.abi = FWDELTA_ABI_VERSION;
    request.package = &package;
    request.package_len = note_number(NOTE_PACKAGE_LEN);
    request.trust = trust_bytes;
    request.trust_len = note_number(NOTE_TRUST_LEN);
    request.device = &device;
    request.limits = &limits;
    request.envelope_buf = envelope_buf;
    request.envelope_buf_len = sizeof envelope_buf;
    request.work = work;
    request.work_len = sizeof work;
    if (fwdelta_verify(&request, &summary, &component, 1, &error) != FWDELTA_OK) {
        return error.detail;
    }
    report("workspace", (uint32_t)component.work_len);
    parts.old = &old;
    parts.old_len = component.old_len;
    parts.slot = &new_slot;
    if (fwdelta_apply(&request, &parts, 1, &error) != FWDELTA_OK) {
        return error.detail;
    }
    return 0;
}

int main(void)
{
    struct cut cut;
    uint32_t detail;

    arguments(&cut);
    if (note_number(NOTE_MADE) == 0 && !factory_make()) {
        report("error host", 0);
        finish(0);
    }
    report("starts", note_number(NOTE_CUT) + 1);
    if (note_number(NOTE_CUT) != 0) {
        cut.at = 0;
    }
    detail = update(&cut);
    report("ram", stack_peak());
    report("stack", stack_peak() - WORK_LEN - ENVELOPE_LEN - TRUST_LEN);
    report("ram_len", stack_len());
    report("operations", cut.count);
    if (detail != 0) {
        report("error detail", detail);
        finish(0);
    }
    finish(factory_dump());
}
