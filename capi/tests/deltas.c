/* Every stored delta gives its new image from C too, and every damaged one the number that library
 * and command give (tests/stored_deltas.rs): in one call, fed in pieces of any length, in place.
 * Linked with the library without Ed25519: nothing here verifies packages.
 *
 * deltas TESTDATA IMAGES [ISA], where IMAGES holds NAME.old and NAME.new, and ISA is the
 * instruction set of a library that has one only */
#include "nor.h"
#include "slot.h"

/* One delta, its images, and how it is damaged. */
struct work {
    struct bytes file;
    struct bytes old_bytes;
    struct bytes new_bytes;
    struct bytes memory;
    fwdelta_source source;
    fwdelta_source old;
    fwdelta_delta delta;
    fwdelta_delta_info info;
    fwdelta_limits limits;
    fwdelta_error error;
};

static void open_work(struct work *work, const char *testdata, const char *images,
                      const char *name)
{
    char path[256];
    memset(work, 0, sizeof *work);
    snprintf(path, sizeof path, "deltas/%s.fwd", name);
    work->file = load(testdata, path);
    snprintf(path, sizeof path, "%s.old", name);
    work->old_bytes = load(images, path);
    snprintf(path, sizeof path, "%s.new", name);
    work->new_bytes = load(images, path);
    CHECK(fwdelta_limits_linux(&work->limits) == FWDELTA_OK);
}

static void close_work(struct work *work)
{
    free(work->file.data);
    free(work->old_bytes.data);
    free(work->new_bytes.data);
    free(work->memory.data);
}

/* Fed in pieces of `piece_len` bytes. */
static void feed(struct work *work, const fwdelta_stream *stream, size_t piece_len)
{
    const uint8_t *input = work->file.data + work->delta.payload_pos;
    size_t left = (size_t)work->delta.payload_len;
    uint32_t wish = FWDELTA_STREAM_NEEDS_INPUT;
    if (fwdelta_stream_open(stream, &work->error) != FWDELTA_OK) {
        return;
    }
    while (wish != FWDELTA_STREAM_DONE) {
        size_t len = left < piece_len ? left : piece_len;
        size_t taken = 0;
        if (fwdelta_stream_feed(stream, input, len, &taken, &wish, &work->error) != FWDELTA_OK) {
            return;
        }
        CHECK(taken <= len);
        input += taken;
        left -= taken;
        if (wish == FWDELTA_STREAM_NEEDS_INPUT && left == 0) {
            break;
        }
    }
    fwdelta_stream_finish(stream, &work->error);
}

/* To a slot of its own; in one call for a `piece_len` of 0. */
static uint16_t apply_to_slot(struct work *work, size_t piece_len)
{
    static fwdelta_stream_state state;
    struct flash flash = flash_of(work->new_bytes.len, 512, 4);
    fwdelta_target slot = target_of(&flash);
    fwdelta_stream stream;
    memset(&stream, 0, sizeof stream);
    memset(&state, 0, sizeof state);
    stream.abi = FWDELTA_ABI_VERSION;
    stream.delta = &work->delta;
    stream.old = &work->old;
    stream.old_len = work->old_bytes.len;
    stream.slot = &slot;
    stream.limits = &work->limits;
    stream.state = &state;
    stream.work = work->memory.data;
    stream.work_len = work->memory.len;
    if (piece_len == 0) {
        fwdelta_stream_run(&stream, &work->source, &work->error);
    } else {
        feed(work, &stream, piece_len);
    }
    CHECK(work->error.old_intact == 1);
    CHECK(work->error.detail != 0 || flash_holds(&flash, &work->new_bytes));
    CHECK(work->error.category != FWDELTA_WRONG_OLD || flash_is_untouched(&flash));
    CHECK(work->error.category != FWDELTA_UNSUPPORTED || flash_is_untouched(&flash));
    free(flash.cells.data);
    return work->error.detail;
}

static fwdelta_status step_to_end(struct work *work, const fwdelta_in_place *update)
{
    fwdelta_step step = { 0, 0, 0 };
    fwdelta_status status = FWDELTA_OK;
    while (status == FWDELTA_OK && !step.done) {
        status = fwdelta_in_place_step(update, &step, &work->error);
    }
    return status;
}

static void rewrite(struct work *work, const fwdelta_in_place *update)
{
    if (fwdelta_in_place_rehearse(update, &work->error) == FWDELTA_OK
        && step_to_end(work, update) == FWDELTA_OK
        && fwdelta_in_place_begin(update, &work->error) == FWDELTA_OK
        && step_to_end(work, update) == FWDELTA_OK) {
        fwdelta_in_place_finish(update, &work->error);
    }
}

static uint16_t apply_in_place(struct work *work)
{
    static fwdelta_state state;
    struct board board = board_of();
    struct nor slot;
    struct nor scratch;
    fwdelta_flash slot_table;
    fwdelta_flash scratch_table;
    fwdelta_in_place update;
    uint64_t scratch_len = 0;
    if (fwdelta_in_place_scratch_len(&work->delta, &work->limits, 8, work->memory.data,
                                     work->memory.len, &scratch_len, &work->error)
        != FWDELTA_OK) {
        return work->error.detail;
    }
    slot = nor_of(&board, (size_t)work->info.slot_len, work->info.page_len, 8, 0xff);
    scratch = nor_of(&board, (size_t)scratch_len, work->info.page_len, 8, 0xff);
    nor_restore(&slot, &work->old_bytes);
    slot_table = flash_table(&slot);
    scratch_table = flash_table(&scratch);
    memset(&update, 0, sizeof update);
    memset(&state, 0, sizeof state);
    update.abi = FWDELTA_ABI_VERSION;
    update.delta = &work->delta;
    update.slot = &slot_table;
    update.scratch = &scratch_table;
    update.payload = &work->source;
    update.limits = &work->limits;
    update.state = &state;
    update.work = work->memory.data;
    update.work_len = work->memory.len;
    rewrite(work, &update);
    CHECK(work->error.detail != 0 || nor_holds(&slot, &work->new_bytes));
    /* Whatever is wrong with a delta is found in the rehearsal. */
    CHECK(work->error.detail == 0 || board.operation_count == 0);
    nor_free(&slot);
    nor_free(&scratch);
    return work->error.detail;
}

/* What comes of the delta in `work->file`, however it is applied. */
static uint16_t apply(struct work *work)
{
    static const size_t piece_lens[] = { 1, 7, SIZE_MAX };
    uint16_t detail;
    size_t at;
    work->source = source_of(&work->file);
    work->old = source_of(&work->old_bytes);
    if (fwdelta_delta_of_file(&work->source, work->file.len, &work->delta, &work->error)
            != FWDELTA_OK
        || fwdelta_delta_read(&work->delta, &work->limits, &work->info, &work->error)
            != FWDELTA_OK) {
        return work->error.detail;
    }
    free(work->memory.data);
    work->memory = allocate((size_t)work->info.work_len);
    if (work->info.in_place) {
        CHECK(apply_to_slot(work, 0) == FWDELTA_E_NOT_BUILT_IN
              || work->error.category == FWDELTA_WRONG_OLD);
        return apply_in_place(work);
    }
    detail = apply_to_slot(work, 0);
    for (at = 0; at < sizeof piece_lens / sizeof *piece_lens; at++) {
        CHECK(apply_to_slot(work, piece_lens[at]) == detail);
    }
    return detail;
}

static void damage(struct work *work, const char *change, size_t at)
{
    if (strcmp(change, "flip") == 0) {
        CHECK(at < work->file.len);
        work->file.data[at] ^= 0x10;
    } else if (strcmp(change, "cut") == 0) {
        CHECK(at <= work->file.len);
        work->file.len = at;
    } else if (strcmp(change, "grow") == 0) {
        struct bytes longer = allocate(work->file.len + at);
        memset(longer.data, 0, longer.len);
        memcpy(longer.data, work->file.data, work->file.len);
        free(work->file.data);
        work->file = longer;
    } else {
        CHECK(strcmp(change, "old") == 0 && at < work->old_bytes.len);
        work->old_bytes.data[at] ^= 0x10;
    }
}

static FILE *open_index(const char *testdata, const char *name, const char *head)
{
    char text[512];
    FILE *index;
    snprintf(text, sizeof text, "%s/deltas/%s", testdata, name);
    index = fopen(text, "r");
    CHECK(index != NULL && fgets(text, sizeof text, index) != NULL);
    CHECK(strcmp(text, head) == 0);
    return index;
}

/* Whether a library with `isa` alone reads it: coder 1 knows no instruction sets. */
static int is_known(const char *name, const char *isa)
{
    const char *end = strrchr(name, '-');
    return isa == NULL || strncmp(name, isa, strlen(isa)) == 0 || strcmp(end, "-plain") == 0;
}

static void stored(const char *testdata, const char *images, const char *isa)
{
    FILE *index = open_index(testdata, "index.tsv", "name\told\tnew\tdelta_len\n");
    char text[512];
    char name[64];
    int packed = 0;
    int rewritten = 0;
    int count = 0;
    while (fgets(text, sizeof text, index) != NULL) {
        struct work work;
        uint16_t detail;
        CHECK(sscanf(text, "%63[^\t]", name) == 1);
        open_work(&work, testdata, images, name);
        detail = apply(&work);
        /* There is no decompressor here. */
        CHECK(detail == (work.info.needs_decompressor || !is_known(name, isa)
                             ? FWDELTA_E_NOT_BUILT_IN
                             : 0));
        packed += work.info.needs_decompressor;
        rewritten += work.info.in_place;
        count++;
        close_work(&work);
    }
    fclose(index);
    CHECK(count >= 53 && packed * 4 < count && rewritten >= 3);
    printf("%d stored deltas, %d need a decompressor, %d in place\n", count, packed, rewritten);
}

static void damaged(const char *testdata, const char *images, const char *isa)
{
    FILE *index = open_index(testdata, "damaged.tsv", "name\tchange\tat\texpect\n");
    char text[512];
    char name[64];
    char change[16];
    unsigned at;
    unsigned expect;
    int count = 0;
    int refused = 0;
    while (fgets(text, sizeof text, index) != NULL) {
        struct work work;
        uint16_t detail;
        CHECK(sscanf(text, "%63[^\t]\t%15[^\t]\t%u\t%u", name, change, &at, &expect) == 4);
        open_work(&work, testdata, images, name);
        damage(&work, change, at);
        detail = apply(&work);
        /* What was flipped may name an instruction set that this library has not. */
        if (isa != NULL && detail == FWDELTA_E_NOT_BUILT_IN) {
            expect = detail;
        }
        if (detail != expect) {
            fprintf(stderr, "%s %s %u: %u %s, expected %u\n", name, change, at, (unsigned)detail,
                    fwdelta_error_name(detail), expect);
        }
        CHECK(detail == expect);
        refused += detail != 0;
        count++;
        close_work(&work);
    }
    fclose(index);
    CHECK(count > 300 && refused > 300);
    printf("%d damaged deltas, %d refused\n", count, refused);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 3);
    stored(argv[1], argv[2], argc > 3 ? argv[3] : NULL);
    damaged(argv[1], argv[2], argc > 3 ? argv[3] : NULL);
    return passed("deltas");
}
