/* A slot for a new image, written from front to back: a flash that notices misuse. */
#ifndef SLOT_H
#define SLOT_H

#include "harness.h"

/* A flash with sectors that must be erased, in order, before each word is written once. */
struct flash {
    struct bytes cells;
    uint32_t sector_len;
    uint16_t write_len;
    uint8_t erased;
    uint32_t erase_count;
    uint64_t write_pos;
    int synced;
    /* programs that succeed before the driver fails; negative for always */
    int program_budget;
};

static int32_t flash_erase(void *ctx, uint32_t sector)
{
    struct flash *flash = ctx;
    CHECK(sector == flash->erase_count);
    CHECK((uint64_t)(sector + 1) * flash->sector_len <= flash->cells.len);
    memset(flash->cells.data + (size_t)sector * flash->sector_len, flash->erased,
           flash->sector_len);
    flash->erase_count++;
    return 0;
}

static int32_t flash_program(void *ctx, uint64_t pos, const uint8_t *data, size_t len)
{
    struct flash *flash = ctx;
    CHECK(pos == flash->write_pos && len > 0);
    CHECK(pos % flash->write_len == 0 && len % flash->write_len == 0);
    CHECK(pos + len <= (uint64_t)flash->erase_count * flash->sector_len);
    if (flash->program_budget == 0) {
        return 5;
    }
    flash->program_budget -= flash->program_budget > 0;
    memcpy(flash->cells.data + pos, data, len);
    flash->write_pos += len;
    flash->synced = 0;
    return 0;
}

static int32_t flash_sync(void *ctx)
{
    ((struct flash *)ctx)->synced = 1;
    return 0;
}

/* A flash of `len` bytes, rounded up to sectors, full of what was there before. */
static struct flash flash_of(size_t len, uint32_t sector_len, uint16_t write_len)
{
    struct flash flash = { { NULL, 0 }, sector_len, write_len, 0xff, 0, 0, 0, -1 };
    flash.cells = allocate((len + sector_len - 1) / sector_len * sector_len);
    memset(flash.cells.data, 0x5a, flash.cells.len);
    return flash;
}

static fwdelta_target target_of(struct flash *flash)
{
    fwdelta_target target;
    memset(&target, 0, sizeof target);
    target.abi = FWDELTA_ABI_VERSION;
    target.sector_len = flash->sector_len;
    target.len = flash->cells.len;
    target.write_len = flash->write_len;
    target.erased = flash->erased;
    target.ctx = flash;
    target.erase = flash_erase;
    target.program = flash_program;
    target.sync = flash_sync;
    return target;
}

static int flash_is_untouched(const struct flash *flash)
{
    return flash->erase_count == 0 && flash->write_pos == 0;
}

/* Whether the flash holds exactly `image`, padded with erased bytes, durably. */
static int flash_holds(const struct flash *flash, const struct bytes *image)
{
    size_t at;
    if (!flash->synced || memcmp(flash->cells.data, image->data, image->len) != 0) {
        return 0;
    }
    for (at = image->len; at < (size_t)flash->erase_count * flash->sector_len; at++) {
        if (at < flash->write_pos && flash->cells.data[at] != flash->erased) {
            return 0;
        }
    }
    return 1;
}

#endif
