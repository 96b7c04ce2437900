/* The emulated boards as C programs see them: what board.rs, nor.rs, semihosting.rs and stack.rs
 * are to Rust ones. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

#if defined(BOARD_MICROBIT)
#define PAGE_LEN 1024u
#define WRITE_LEN 4u
#define FLASH_START (176u << 10)
#define FLASH_LEN (80u << 10)
#define STAGED_LEN (8u << 10)
#define SLOT_LEN (24u << 10)
#define WORK_LEN 5600u
#else
#define PAGE_LEN 4096u
#define WRITE_LEN 8u
#define FLASH_START 0x21000000u
#define FLASH_LEN (1u << 20)
#define STAGED_LEN (32u << 10)
#define SLOT_LEN (64u << 10)
#define WORK_LEN 10240u
#endif

/* Positions in flash: trust anchor, package, the old image's slot, the new one's. */
#define TRUST_POS 0u
#define PACKAGE_POS PAGE_LEN
#define SLOT_POS STAGED_LEN
#define OTHER_POS (SLOT_POS + SLOT_LEN)

/* When to cut the power: before (mode 0), in the middle of (1) or after (2) operation number `at`;
 * they are counted from 1. */
struct cut {
    uint32_t at;
    uint32_t mode;
    uint32_t count;
};

/* Bytes of flash of one use. */
struct part {
    uint32_t pos;
    uint32_t len;
    struct cut *cut;
};

/* Numbers that outlast a reset: the first content of flash, the cut, lengths. */
enum note { NOTE_MADE, NOTE_CUT, NOTE_PACKAGE_LEN, NOTE_TRUST_LEN, NOTE_DELTA };

uint32_t note_number(enum note note); /* 0 if there is none */
void note_take(enum note note, uint32_t number);

/* Callbacks of fwdelta.h; `ctx` is a struct part. */
int32_t part_read(void *ctx, uint64_t pos, uint8_t *buf, size_t len);
int32_t part_erase(void *ctx, uint32_t sector);
int32_t part_program(void *ctx, uint64_t pos, const uint8_t *data, size_t len);
int32_t part_sync(void *ctx);

/* Files of the host to flash, and the slot at `pos` back to one. */
int factory_make(void);
int factory_dump(uint32_t pos);

/* What the host reads. */
void report(const char *name, uint32_t number);
void arguments(struct cut *cut);
void finish(int is_good) __attribute__((noreturn));

/* Bytes between the top of the stack and the lowest word written; all of RAM. Painted again, the
 * next peak is that of what follows. */
uint32_t stack_peak(void);
void stack_paint(void);
uint32_t stack_len(void);

#endif
