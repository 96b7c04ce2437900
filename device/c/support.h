/* What both programs need around the calls of fwdelta.h. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include "board.h"
#include "fwdelta.h"

#define ENVELOPE_LEN 2048u
#define ANCHOR_LEN 256u

/* Everything about a package but where it is applied; nothing of it moves while it is used. */
struct request {
    fwdelta_update update;
    fwdelta_device device;
    fwdelta_limits limits;
    fwdelta_crypto crypto;
    uint8_t envelope_buf[ENVELOPE_LEN];
    uint8_t anchor[ANCHOR_LEN];
};

/* A device without a SIM and without an update so far; 0 if flash cannot be read. */
int request_open(struct request *request, const fwdelta_source *package, struct cut *cut);

struct part part_of(uint32_t pos, uint32_t len, struct cut *cut);
fwdelta_source source_of(struct part *part);

/* First content of flash, and what the command line says. */
void start(struct cut *cut);

/* Prints figures, gives the slot at `pos` to the host. `lent` bytes of stack were buffers. */
void end(const struct cut *cut, uint32_t detail, uint32_t lent, uint32_t pos)
    __attribute__((noreturn));

#endif
