#include "support.h"

#if defined(WITH_ED25519)
void fwdelta_panic(void)
{
    report("error panic", 1);
    finish(0);
}
#else
/* Stands for a crypto cell, and takes every signature: what Ed25519 needs beside the buffers of
 * these programs does not fit 16 KiB. */
static int32_t cell(void *ctx, const uint8_t key[32], const uint8_t *message, size_t message_len,
                    const uint8_t signature[64])
{
    (void)ctx;
    (void)key;
    (void)message;
    (void)signature;
    return message_len == 0;
}
#endif

struct part part_of(uint32_t pos, uint32_t len, struct cut *cut)
{
    struct part part;

    part.pos = pos;
    part.len = len;
    part.cut = cut;
    return part;
}

fwdelta_source source_of(struct part *part)
{
    fwdelta_source source;

    source.abi = FWDELTA_ABI_VERSION;
    source.ctx = part;
    source.read = part_read;
    return source;
}

int request_open(struct request *request, const fwdelta_source *package, struct cut *cut)
{
    const fwdelta_update no_update = { 0 };
    const fwdelta_device no_device = { 0 };
    struct part trust = part_of(TRUST_POS, PAGE_LEN, cut);

    request->update = no_update;
    request->device = no_device;
    request->device.abi = FWDELTA_ABI_VERSION;
    request->device.sim = FWDELTA_SIM_ABSENT;
    fwdelta_limits_device(&request->limits);
    request->limits.envelope_len = ENVELOPE_LEN;
    request->update.abi = FWDELTA_ABI_VERSION;
    request->update.package = package;
    request->update.package_len = note_number(NOTE_PACKAGE_LEN);
    request->update.trust = request->anchor;
    request->update.trust_len = note_number(NOTE_TRUST_LEN);
    request->update.device = &request->device;
    request->update.limits = &request->limits;
    request->update.envelope_buf = request->envelope_buf;
    request->update.envelope_buf_len = ENVELOPE_LEN;
#if !defined(WITH_ED25519)
    request->crypto.abi = FWDELTA_ABI_VERSION;
    request->crypto.ctx = NULL;
    request->crypto.verify_ed25519 = cell;
    request->update.crypto = &request->crypto;
#endif
    return part_read(&trust, 0, request->anchor, ANCHOR_LEN) == 0;
}

void start(struct cut *cut)
{
    arguments(cut);
    if (note_number(NOTE_MADE) == 0 && !factory_make()) {
        report("error host", 0);
        finish(0);
    }
    report("starts", note_number(NOTE_CUT) + 1);
    if (note_number(NOTE_CUT) != 0) {
        cut->at = 0;
    }
}

void end(const struct cut *cut, uint32_t detail, uint32_t lent, uint32_t pos)
{
    report("ram", stack_peak());
    report("stack", stack_peak() - lent);
    report("ram_len", stack_len());
    report("operations", cut->count);
    if (detail != 0) {
        report("error detail", detail);
        finish(0);
    }
    finish(factory_dump(pos));
}
