/* How updates of every kind end well, whatever happens. A program includes this behind its `struct
 * bench`, by way of bench_in_place.h or bench_two_slots.h. That has a `board`, a `slot` and a
 * `scratch` with their tables, the `new_bytes` that shall come into the slot, the old image if it
 * is `in_slot`, the `delta`, `state` and `update` of the interface, and an `error`. */
#ifndef BENCH_H
#define BENCH_H

#include "nor.h"

/* What the program has of its own: what a device does at every start, up to the new image. What the
 * kind of update has: what a device asks its journal, and how it forgets. */
static fwdelta_status boot(struct bench *bench);
static fwdelta_status look(struct bench *bench, uint32_t *found);
static fwdelta_status clear(struct bench *bench);

/* What a reset leaves of a device: its flash. */
static void bench_reset(struct bench *bench)
{
    memset(&bench->state, 0, sizeof bench->state);
    memset(bench->update.work, 0xa5, bench->update.work_len);
    board_reset(&bench->board);
}

/* A device that still has the old image. */
static void bench_renew(struct bench *bench)
{
    nor_restore(&bench->slot, bench->in_slot);
    nor_restore(&bench->scratch, NULL);
    bench_reset(bench);
}

/* Makes `update` refer to the delta, the chips and the state, which are there. */
static void bench_connect(struct bench *bench)
{
    bench->slot_table = flash_table(&bench->slot);
    bench->scratch_table = flash_table(&bench->scratch);
    bench->update.abi = FWDELTA_ABI_VERSION;
    bench->update.delta = &bench->delta;
    bench->update.slot = &bench->slot_table;
    bench->update.scratch = &bench->scratch_table;
    bench->update.state = &bench->state;
}

/* An error says that the old image is whole only if it is; always of one that is elsewhere. */
static int is_true(const struct bench *bench)
{
    if (bench->in_slot == NULL) {
        return bench->error.old_intact == 1;
    }
    return bench->error.old_intact == 0 || nor_holds(&bench->slot, bench->in_slot);
}

static void boots(struct bench *bench)
{
    fwdelta_status status = boot(bench);
    if (status != FWDELTA_OK) {
        fprintf(stderr, "lost: %u %s\n", (unsigned)bench->error.detail,
                fwdelta_error_name(bench->error.detail));
    }
    CHECK(status == FWDELTA_OK && bench->error.detail == 0);
    CHECK(nor_holds(&bench->slot, &bench->new_bytes));
}

/* Without a fault; then once more, which finds that all is done; then forgotten. Gives how many
 * operations it took. */
static long undisturbed(struct bench *bench)
{
    uint32_t found = 99;
    long count;
    boots(bench);
    count = bench->board.operation_count;
    bench_reset(bench);
    boots(bench);
    CHECK(bench->board.operation_count == 0);
    CHECK(clear(bench) == FWDELTA_OK && look(bench, &found) == FWDELTA_OK);
    CHECK(found == FWDELTA_FOUND_NOTHING);
    return count;
}

/* Operations from one that power is cut in to the next, with so many `moments` in all, or with 0
 * in each of them; not always the same operations of a page. */
static long moments_apart(long count, long moments)
{
    long every = moments > 0 ? (count + moments - 1) / moments : 1;
    return every + (every > 1 && every % 2 == 0);
}

/* The power goes in operation `at`, in recovery `nested` operations later again, then stays. */
static void cut(struct bench *bench, long at, enum cut kind, long nested)
{
    bench_renew(bench);
    bench->board.random = (uint32_t)at * 31u + 7u;
    bench->board.cut = kind;
    bench->board.cut_at = at;
    CHECK(boot(bench) == FWDELTA_STORAGE);
    CHECK(is_true(bench));
    bench_reset(bench);
    bench->board.cut_at = nested;
    if (boot(bench) != FWDELTA_OK) {
        CHECK(bench->error.category == FWDELTA_STORAGE && is_true(bench));
        bench_reset(bench);
        boots(bench);
    }
    CHECK(nor_holds(&bench->slot, &bench->new_bytes));
}

/* The power goes at many moments of `count` operations, in the recovery again. Gives how many. */
static long nested_cuts(struct bench *bench, long count, long moments)
{
    long every = moments_apart(count, moments);
    long cuts = 0;
    long at;
    int kind;
    for (at = 0; at < count; at += every) {
        for (kind = 0; kind < CUT_COUNT; kind++) {
            cut(bench, at, (enum cut)kind, (at * 7 + kind) % (count - at + 3));
            cuts++;
        }
    }
    return cuts;
}

#endif
