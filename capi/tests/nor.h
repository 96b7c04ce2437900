/* NOR flash with rules, faults and power cuts. Slot and scratch flash are two chips on one board:
 * their operations have one order, and the power goes for both. */
#ifndef NOR_H
#define NOR_H

#include "harness.h"

/* What a power cut does to the operation it comes into. */
enum cut { CUT_BEFORE, CUT_TORN, CUT_UNREADABLE, CUT_AFTER, CUT_COUNT };

/* What a driver does wrong, once. */
enum fault {
    FAULT_NONE,
    FAULT_READ,
    FAULT_UNCORRECTABLE,
    FAULT_ERASE,
    FAULT_PROGRAM,
    FAULT_SYNC,
    FAULT_COUNT
};

struct board {
    /* erases, programs and syncs so far */
    long operation_count;
    /* number of the operation that the power goes in; negative for none */
    long cut_at;
    enum cut cut;
    int has_power;
    uint32_t random;
    enum fault fault;
    /* calls of that kind until it happens */
    long fault_in;
    long fault_calls;
};

struct nor {
    struct bytes cells;
    /* one per byte: 0 erased, 1 programmed or undefined, 2 no valid word */
    uint8_t *marks;
    uint32_t sector_len;
    uint16_t write_len;
    uint8_t erased;
    struct board *board;
    /* sectors of other lengths before */
    const fwdelta_sectors *first;
    uint32_t first_count;
};

static struct board board_of(void)
{
    struct board board = { 0, -1, CUT_BEFORE, 1, 1, FAULT_NONE, 0, 0 };
    return board;
}

/* Power again, without a cut or a fault in sight. */
static inline void board_reset(struct board *board)
{
    board->has_power = 1;
    board->cut_at = -1;
    board->fault = FAULT_NONE;
    board->operation_count = 0;
}

static uint8_t board_random(struct board *board)
{
    board->random = board->random * 1664525u + 1013904223u;
    return (uint8_t)(board->random >> 24);
}

/* Whether the call at hand is the one that the driver fails in. */
static int board_fails(struct board *board, enum fault fault)
{
    if (board->fault != fault) {
        return 0;
    }
    board->fault_calls++;
    return board->fault_in-- == 0;
}

/* Whether the power goes in the operation at hand. */
static int board_cut(struct board *board)
{
    int is_now = board->operation_count == board->cut_at;
    board->operation_count++;
    board->has_power = board->has_power && !is_now;
    return is_now;
}

static struct nor nor_of(struct board *board, size_t len, uint32_t sector_len, uint16_t write_len,
                         uint8_t erased)
{
    struct nor nor;
    memset(&nor, 0, sizeof nor);
    nor.cells = allocate((len + sector_len - 1) / sector_len * sector_len);
    nor.marks = allocate(nor.cells.len).data;
    /* Full of what was there before: nothing is erased. */
    memset(nor.cells.data, 0x5a, nor.cells.len);
    memset(nor.marks, 1, nor.cells.len);
    nor.sector_len = sector_len;
    nor.write_len = write_len;
    nor.erased = erased;
    nor.board = board;
    return nor;
}

static void nor_free(struct nor *nor)
{
    free(nor->cells.data);
    free(nor->marks);
}

/* The chip as it left the factory with `image` in it. */
static void nor_restore(struct nor *nor, const struct bytes *image)
{
    memset(nor->cells.data, 0x5a, nor->cells.len);
    memset(nor->marks, 1, nor->cells.len);
    if (image != NULL) {
        CHECK(image->len <= nor->cells.len);
        memcpy(nor->cells.data, image->data, image->len);
    }
}

static inline int nor_holds(const struct nor *nor, const struct bytes *image)
{
    return memcmp(nor->cells.data, image->data, image->len) == 0;
}

/* Cells that the power went away from: anything, or no valid word. */
static void nor_tear(struct nor *nor, size_t pos, size_t len)
{
    int is_readable = nor->board->cut != CUT_UNREADABLE;
    size_t at;
    for (at = pos; at < pos + len; at++) {
        nor->cells.data[at] = board_random(nor->board);
        nor->marks[at] = is_readable ? 1 : 2;
    }
}

static int32_t nor_read(void *ctx, uint64_t pos, uint8_t *buf, size_t len)
{
    struct nor *nor = ctx;
    CHECK(pos <= nor->cells.len && len <= nor->cells.len - pos);
    if (!nor->board->has_power || board_fails(nor->board, FAULT_READ)) {
        return 2;
    }
    if (board_fails(nor->board, FAULT_UNCORRECTABLE)
        || memchr(nor->marks + pos, 2, len) != NULL) {
        return 1;
    }
    memcpy(buf, nor->cells.data + pos, len);
    return 0;
}

/* Where a sector starts; `*len` is its length. */
static size_t nor_sector(const struct nor *nor, uint32_t sector, size_t *len)
{
    size_t pos = 0;
    uint32_t at;
    for (at = 0; at < nor->first_count; at++) {
        if (sector < nor->first[at].count) {
            *len = nor->first[at].len;
            return pos + (size_t)sector * *len;
        }
        sector -= nor->first[at].count;
        pos += (size_t)nor->first[at].count * nor->first[at].len;
    }
    *len = nor->sector_len;
    return pos + (size_t)sector * *len;
}

static int32_t nor_erase(void *ctx, uint32_t sector)
{
    struct nor *nor = ctx;
    size_t len;
    size_t pos = nor_sector(nor, sector, &len);
    int is_cut;
    CHECK(pos + len <= nor->cells.len);
    if (!nor->board->has_power || board_fails(nor->board, FAULT_ERASE)) {
        return 3;
    }
    is_cut = board_cut(nor->board);
    if (is_cut && nor->board->cut == CUT_BEFORE) {
        return 3;
    }
    memset(nor->cells.data + pos, nor->erased, len);
    memset(nor->marks + pos, 0, len);
    if (is_cut && nor->board->cut != CUT_AFTER) {
        nor_tear(nor, pos, len);
    }
    return is_cut ? 3 : 0;
}

static int32_t nor_program(void *ctx, uint64_t pos, const uint8_t *data, size_t len)
{
    struct nor *nor = ctx;
    int is_cut;
    size_t at;
    CHECK(len > 0 && pos <= nor->cells.len && len <= nor->cells.len - pos);
    CHECK(pos % nor->write_len == 0 && len % nor->write_len == 0);
    if (!nor->board->has_power || board_fails(nor->board, FAULT_PROGRAM)) {
        return 4;
    }
    /* Erased before, and no byte twice. */
    for (at = 0; at < len; at++) {
        CHECK(nor->marks[pos + at] == 0);
    }
    is_cut = board_cut(nor->board);
    if (is_cut && nor->board->cut == CUT_BEFORE) {
        return 4;
    }
    if (is_cut && nor->board->cut != CUT_AFTER) {
        /* Whole units, then a torn one; the rest stays erased. */
        size_t units = len / nor->write_len;
        size_t whole = units / 2 * nor->write_len;
        memcpy(nor->cells.data + pos, data, whole);
        memset(nor->marks + pos, 1, whole);
        nor_tear(nor, (size_t)pos + whole, nor->write_len);
        return 4;
    }
    memcpy(nor->cells.data + pos, data, len);
    memset(nor->marks + pos, 1, len);
    return is_cut ? 4 : 0;
}

static int32_t nor_sync(void *ctx)
{
    struct nor *nor = ctx;
    if (!nor->board->has_power || board_fails(nor->board, FAULT_SYNC)) {
        return 5;
    }
    return board_cut(nor->board) ? 5 : 0;
}

static inline fwdelta_flash flash_table(struct nor *nor)
{
    fwdelta_flash flash;
    memset(&flash, 0, sizeof flash);
    flash.abi = FWDELTA_ABI_VERSION;
    flash.sector_len = nor->sector_len;
    flash.len = nor->cells.len;
    flash.write_len = nor->write_len;
    flash.erased = nor->erased;
    flash.ctx = nor;
    flash.read = nor_read;
    flash.erase = nor_erase;
    flash.program = nor_program;
    flash.sync = nor_sync;
    flash.first = nor->first;
    flash.first_count = nor->first_count;
    return flash;
}

#endif
