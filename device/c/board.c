#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Semihosting (Arm, "Semihosting for AArch32 and AArch64"). */

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_FLEN = 0x0c,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT = 0x18
};

static int32_t host(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt #0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

void finish(int is_good)
{
    for (;;) {
        host(SYS_EXIT, (const void *)(uintptr_t)(is_good ? 0x20026u : 0x20023u));
    }
}

void report(const char *name, uint32_t number)
{
    char text[12];
    char *digit = text + sizeof text - 1;

    *digit = 0;
    *--digit = '\n';
    do {
        *--digit = (char)('0' + number % 10u);
        number /= 10u;
    } while (number != 0);
    host(SYS_WRITE0, name);
    host(SYS_WRITE0, " ");
    host(SYS_WRITE0, digit);
}

static const char *number_of(const char *text, uint32_t *number)
{
    while (*text != 0 && *text != ' ') {
        text++;
    }
    while (*text == ' ') {
        text++;
    }
    for (*number = 0; *text >= '0' && *text <= '9'; text++) {
        *number = *number * 10u + (uint32_t)(*text - '0');
    }
    return text;
}

void arguments(struct cut *cut)
{
    char line[80] = { 0 };
    uintptr_t block[2] = { (uintptr_t)line, sizeof line };

    host(SYS_GET_CMDLINE, block);
    number_of(number_of(line, &cut->at), &cut->mode);
    cut->count = 0;
}

/* Flash. */

static uint8_t flash_read(uint32_t pos)
{
    return *(volatile const uint8_t *)(uintptr_t)(FLASH_START + pos);
}

#if defined(BOARD_MICROBIT)
static void flash_mode(uint32_t mode)
{
    while (REGISTER(0x4001e400) == 0) {
    }
    REGISTER(0x4001e504) = mode;
}

static void flash_erase(uint32_t pos)
{
    flash_mode(2);
    REGISTER(0x4001e508) = FLASH_START + pos;
    flash_mode(0);
}

static void flash_program(uint32_t pos, uint32_t word)
{
    flash_mode(1);
    REGISTER(FLASH_START + pos) = word;
    flash_mode(0);
}
#else
static void flash_erase(uint32_t pos)
{
    uint32_t at;

    for (at = 0; at < PAGE_LEN; at += 4) {
        REGISTER(FLASH_START + pos + at) = 0xffffffffu;
    }
}

static void flash_program(uint32_t pos, uint32_t word)
{
    REGISTER(FLASH_START + pos) &= word;
}
#endif

/* Notes, in the last page. */

#define NOTE_MAGIC 0x600d0000u

static uint32_t note_pos(enum note note)
{
    return FLASH_LEN - PAGE_LEN + 32u * (uint32_t)note;
}

uint32_t note_number(enum note note)
{
    uint32_t pos = FLASH_START + note_pos(note);

    return REGISTER(pos) == NOTE_MAGIC ? REGISTER(pos + 4) : 0;
}

void note_take(enum note note, uint32_t number)
{
    flash_program(note_pos(note) + 4, number);
    flash_program(note_pos(note), NOTE_MAGIC);
}

/* The driver, which cuts the power. */

static void cut_power(void)
{
    note_take(NOTE_CUT, 1);
    for (;;) {
        REGISTER(0xe000ed0c) = 0x05fa0004;
    }
}

static int operation_begin(struct cut *cut)
{
    int is_it = ++cut->count == cut->at;

    if (is_it && cut->mode == 0) {
        cut_power();
    }
    return is_it && cut->mode == 1;
}

static int32_t operation_end(const struct cut *cut)
{
    if (cut->count == cut->at) {
        cut_power();
    }
    return 0;
}

/* Leaves cells in a state between. */
static void scribble(uint32_t pos, uint32_t len)
{
    uint32_t random = pos | 1u;
    uint32_t at;

    for (at = 0; at < len; at += 4) {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        flash_program(pos + at, random);
    }
}

static int is_inside(const struct part *part, uint64_t pos, size_t len)
{
    return len <= part->len && pos <= part->len - len;
}

int32_t part_read(void *ctx, uint64_t pos, uint8_t *buf, size_t len)
{
    const struct part *part = ctx;
    size_t at;

    if (!is_inside(part, pos, len)) {
        return -1;
    }
    for (at = 0; at < len; at++) {
        buf[at] = flash_read(part->pos + (uint32_t)pos + (uint32_t)at);
    }
    return 0;
}

int32_t part_erase(void *ctx, uint32_t sector)
{
    const struct part *part = ctx;
    uint32_t pos = part->pos + sector * PAGE_LEN;
    int is_torn;

    if (!is_inside(part, (uint64_t)sector * PAGE_LEN, PAGE_LEN)) {
        return -1;
    }
    is_torn = operation_begin(part->cut);
    flash_erase(pos);
    if (is_torn) {
        scribble(pos + PAGE_LEN / 2, PAGE_LEN / 2);
    }
    return operation_end(part->cut);
}

int32_t part_program(void *ctx, uint64_t offset, const uint8_t *data, size_t len)
{
    const struct part *part = ctx;
    uint32_t pos = part->pos + (uint32_t)offset;
    uint32_t word;
    size_t at;
    size_t whole = len;

    if (!is_inside(part, offset, len) || offset % WRITE_LEN != 0 || len % WRITE_LEN != 0) {
        return -1;
    }
    for (at = 0; at < len; at++) {
        if (flash_read(pos + (uint32_t)at) != 0xff) {
            return -1; /* a word is programmed once */
        }
    }
    if (operation_begin(part->cut)) {
        whole = len / WRITE_LEN / 2 * WRITE_LEN;
    }
    for (at = 0; at < whole; at += 4) {
        word = data[at] | (uint32_t)data[at + 1] << 8 | (uint32_t)data[at + 2] << 16 |
               (uint32_t)data[at + 3] << 24;
        flash_program(pos + (uint32_t)at, word);
    }
    if (whole < len) {
        scribble(pos + (uint32_t)whole, WRITE_LEN);
    }
    return operation_end(part->cut);
}

int32_t part_sync(void *ctx)
{
    const struct part *part = ctx;

    operation_begin(part->cut);
    return operation_end(part->cut);
}

/* The factory. */

#define PIECE_LEN 256u

static int32_t host_open(const char *name, uint32_t mode)
{
    uintptr_t block[3] = { (uintptr_t)name, mode, 0 };

    while (name[block[2]] != 0) {
        block[2]++;
    }
    return host(SYS_OPEN, block);
}

static int32_t host_file(uint32_t operation, int32_t file, const uint8_t *bytes, uint32_t len)
{
    const uintptr_t block[3] = { (uintptr_t)file, (uintptr_t)bytes, len };

    return host(operation, block);
}

/* Erases pages from `pos` on and copies a file there; gives its length, 0 for failure. */
static uint32_t fill(uint32_t pos, uint32_t room, const char *name)
{
    uint8_t piece[PIECE_LEN];
    int32_t file = host_open(name, 1);
    int32_t len = file < 0 ? 0 : host_file(SYS_FLEN, file, NULL, 0);
    struct cut uncut = { 0, 0, 0 };
    struct part part;
    uint32_t at;
    uint32_t byte;

    part.pos = pos;
    part.len = room;
    part.cut = &uncut;
    if (len <= 0 || (uint32_t)len > room) {
        return 0;
    }
    for (at = 0; at < room / PAGE_LEN; at++) {
        part_erase(&part, at);
    }
    for (at = 0; at < (uint32_t)len; at += PIECE_LEN) {
        uint32_t count = (uint32_t)len - at < PIECE_LEN ? (uint32_t)len - at : PIECE_LEN;

        for (byte = 0; byte < PIECE_LEN; byte++) {
            piece[byte] = 0xff;
        }
        if (host_file(SYS_READ, file, piece, count) != 0 ||
            part_program(&part, at, piece, PIECE_LEN) != 0) {
            return 0;
        }
    }
    host_file(SYS_CLOSE, file, NULL, 0);
    return (uint32_t)len;
}

int factory_make(void)
{
    uint32_t trust_len;
    uint32_t package_len;

    flash_erase(FLASH_LEN - PAGE_LEN);
    trust_len = fill(TRUST_POS, PAGE_LEN, "trust");
    package_len = fill(PACKAGE_POS, STAGED_LEN - PAGE_LEN, "package");
    if (trust_len == 0 || package_len == 0 || fill(SLOT_POS, SLOT_LEN, "old") == 0) {
        return 0;
    }
    note_take(NOTE_TRUST_LEN, trust_len);
    note_take(NOTE_PACKAGE_LEN, package_len);
    note_take(NOTE_MADE, 1);
    return 1;
}

int factory_dump(uint32_t pos)
{
    uint8_t piece[PIECE_LEN];
    int32_t file = host_open("new.out", 5);
    uint32_t at;
    uint32_t byte;

    for (at = 0; at < SLOT_LEN; at += PIECE_LEN) {
        for (byte = 0; byte < PIECE_LEN; byte++) {
            piece[byte] = flash_read(pos + at + byte);
        }
        if (host_file(SYS_WRITE, file, piece, PIECE_LEN) != 0) {
            return 0;
        }
    }
    return host_file(SYS_CLOSE, file, NULL, 0) == 0;
}

/* The stack: start.S painted RAM. */

extern uint32_t _ram_start[];
extern uint32_t _stack_top[];

uint32_t stack_peak(void)
{
    const volatile uint32_t *word = _ram_start;

    while (word < _stack_top && *word == 0xa5a5a5a5u) {
        word++;
    }
    return (uint32_t)((uintptr_t)_stack_top - (uintptr_t)word);
}

void stack_paint(void)
{
    volatile uint32_t *word = _ram_start;

    /* Words below this frame belong to nobody: there are no interrupts. */
    while ((uintptr_t)word < (uintptr_t)__builtin_frame_address(0) - 64u) {
        *word++ = 0xa5a5a5a5u;
    }
}

uint32_t stack_len(void)
{
    return (uint32_t)((uintptr_t)_stack_top - (uintptr_t)_ram_start);
}
