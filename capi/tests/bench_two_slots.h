/* Updates of two slots on a bench, which has, besides, the `payload`, where the last start went on
 * (`at`), how many bytes that was fed (`fed_len`), and how many starts went on behind the start
 * (`resumed_count`). */
#ifndef BENCH_TWO_SLOTS_H
#define BENCH_TWO_SLOTS_H

#include "bench.h"

static fwdelta_status look(struct bench *bench, uint32_t *found)
{
    return fwdelta_two_slots_look(&bench->update, found, &bench->error);
}

static fwdelta_status clear(struct bench *bench)
{
    return fwdelta_two_slots_clear(&bench->update, &bench->error);
}

/* Feeds payload from where the update goes on; at most `budget` bytes of it, then the transport is
 * gone. */
static fwdelta_status feed(struct bench *bench, size_t piece_len, uint64_t budget)
{
    uint64_t pos = bench->at.payload_pos;
    uint32_t wish = FWDELTA_STREAM_NEEDS_INPUT;
    while (wish != FWDELTA_STREAM_DONE) {
        uint64_t left = bench->delta.payload_len - pos;
        size_t len = left < piece_len ? (size_t)left : piece_len;
        size_t taken = 0;
        fwdelta_status status = fwdelta_two_slots_feed(&bench->update, bench->payload + pos, len,
                                                       &taken, &wish, &bench->error);
        if (status != FWDELTA_OK) {
            return status;
        }
        CHECK(taken <= len && (wish != FWDELTA_STREAM_NEEDS_INPUT || taken > 0));
        pos += taken;
        bench->fed_len += taken;
        if (bench->fed_len >= budget) {
            return FWDELTA_STORAGE;
        }
    }
    return FWDELTA_OK;
}

/* A start with payload in pieces, and a transport that breaks off. */
static fwdelta_status boot_fed(struct bench *bench, size_t piece_len, uint64_t budget)
{
    const fwdelta_two_slots *update = &bench->update;
    fwdelta_error *error = &bench->error;
    uint32_t found = 99;
    fwdelta_status status = look(bench, &found);
    bench->fed_len = 0;
    memset(&bench->at, 0, sizeof bench->at);
    if (status != FWDELTA_OK || found == FWDELTA_FOUND_DONE) {
        return status;
    }
    status = found == FWDELTA_FOUND_BEGUN ? fwdelta_two_slots_resume(update, &bench->at, error)
                                          : fwdelta_two_slots_begin(update, error);
    bench->resumed_count += bench->at.new_pos > 0;
    if (status == FWDELTA_OK) {
        status = feed(bench, piece_len, budget);
    }
    return status == FWDELTA_OK ? fwdelta_two_slots_finish(update, error) : status;
}

/* Cuts as of every kind of update; some of the starts behind them go on behind the start. */
static void resuming_cuts(struct bench *bench, long count, long moments)
{
    bench->resumed_count = 0;
    nested_cuts(bench, count, moments);
    CHECK(bench->resumed_count > 0);
    printf("%ld operations; went on behind the start %ld times\n", count, bench->resumed_count);
}

#endif
