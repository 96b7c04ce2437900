/* How updates of every kind end well. A program includes this behind its `struct bench`, which has
 * a `board`, a `slot`, the `new_bytes` that shall come into it, and an `error`. */
#ifndef BENCH_H
#define BENCH_H

#include "nor.h"

/* What the program has of its own: what a reset leaves of a device; what a device does at every
 * start, up to the new image; what it asks its journal, and how it forgets. */
static void bench_reset(struct bench *bench);
static fwdelta_status boot(struct bench *bench);
static fwdelta_status look(struct bench *bench, uint32_t *found);
static fwdelta_status clear(struct bench *bench);

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

#endif
