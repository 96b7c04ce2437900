/* A decompressor for zstd frames of raw blocks (RFC 8878), which small packages consist of: enough
 * to show that the callbacks work without linking zstd. */
#ifndef RAW_FRAME_H
#define RAW_FRAME_H

#include "harness.h"

struct raw_frame {
    /* 0 before the frame header, 1 before a block header, 2 inside a block, 3 at the end */
    int state;
    uint32_t block_left;
    int last;
    int compressed_seen;
    uint8_t window_log;
};

static int32_t raw_start(void *ctx, uint8_t window_log)
{
    struct raw_frame *frame = ctx;
    memset(frame, 0, sizeof *frame);
    frame->window_log = window_log;
    return 0;
}

/* Enters the next block; 0 when more input is needed, 1 when done, -1 for what it cannot read. */
static int raw_header(struct raw_frame *frame, const uint8_t *input, size_t len, size_t *used)
{
    static const uint8_t magic[5] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00 };
    uint32_t head;
    if (frame->state == 0) {
        if (len < 6) {
            return 0;
        }
        if (memcmp(input, magic, 5) != 0 || 10 + (input[5] >> 3) > frame->window_log) {
            return -1;
        }
        frame->state = 1;
        *used = 6;
        return 1;
    }
    if (len < 3) {
        return 0;
    }
    head = input[0] | (uint32_t)input[1] << 8 | (uint32_t)input[2] << 16;
    if ((head >> 1 & 3) != 0) {
        frame->compressed_seen = 1;
        return -1;
    }
    frame->last = head & 1;
    frame->block_left = head >> 3;
    frame->state = 2;
    *used = 3;
    return 1;
}

static int32_t raw_run(void *ctx, const uint8_t *input, size_t input_len, uint8_t *output,
                       size_t output_len, fwdelta_flow *flow)
{
    struct raw_frame *frame = ctx;
    while (frame->state != 3) {
        const uint8_t *rest = input + flow->consumed;
        size_t rest_len = input_len - flow->consumed;
        size_t len = output_len - flow->produced;
        if (frame->state < 2) {
            size_t used = 0;
            int found = raw_header(frame, rest, rest_len, &used);
            if (found <= 0) {
                return found;
            }
            flow->consumed += used;
            continue;
        }
        len = len < rest_len ? len : rest_len;
        len = len < frame->block_left ? len : frame->block_left;
        if (len > 0) {
            memcpy(output + flow->produced, rest, len);
        }
        flow->consumed += len;
        flow->produced += len;
        frame->block_left -= (uint32_t)len;
        if (frame->block_left > 0) {
            return 0;
        }
        frame->state = frame->last ? 3 : 1;
    }
    flow->done = 1;
    return 0;
}

#endif
