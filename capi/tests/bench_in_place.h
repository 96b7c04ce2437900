/* Updates in place on a bench. */
#ifndef BENCH_IN_PLACE_H
#define BENCH_IN_PLACE_H

#include "bench.h"

static fwdelta_status look(struct bench *bench, uint32_t *found)
{
    return fwdelta_in_place_look(&bench->update, found, &bench->error);
}

static fwdelta_status clear(struct bench *bench)
{
    return fwdelta_in_place_clear(&bench->update, &bench->error);
}

static fwdelta_status step_to_end(struct bench *bench)
{
    fwdelta_step step = { 0, 0, 0 };
    while (!step.done) {
        uint64_t last = step.page_done;
        fwdelta_status status = fwdelta_in_place_step(&bench->update, &step, &bench->error);
        if (status != FWDELTA_OK) {
            return status;
        }
        CHECK(step.page_done >= last && step.page_done <= step.page_count);
    }
    return FWDELTA_OK;
}

/* What a device does at every start, up to the new image. */
static fwdelta_status start(struct bench *bench)
{
    const fwdelta_in_place *update = &bench->update;
    fwdelta_error *error = &bench->error;
    uint32_t found = 99;
    fwdelta_status status = look(bench, &found);
    if (status != FWDELTA_OK || found == FWDELTA_FOUND_DONE) {
        return status;
    }
    if (found == FWDELTA_FOUND_BEGUN) {
        status = fwdelta_in_place_resume(update, error);
    } else {
        CHECK(found == FWDELTA_FOUND_NOTHING && nor_holds(&bench->slot, bench->in_slot));
        status = fwdelta_in_place_rehearse(update, error);
        if (status == FWDELTA_OK) {
            status = step_to_end(bench);
        }
        if (status == FWDELTA_OK) {
            status = fwdelta_in_place_begin(update, error);
        }
    }
    if (status == FWDELTA_OK) {
        status = step_to_end(bench);
    }
    return status == FWDELTA_OK ? fwdelta_in_place_finish(update, error) : status;
}

#endif
