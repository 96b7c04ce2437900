/* Runs every golden vector of testdata/vectors through the C interface: each gives the number its
 * line of index.tsv says. Linked with the library that has the built-in Ed25519.
 *
 * vectors TESTDATA */
#include "raw_frame.h"
#include "slot.h"

/* The library with the built-in Ed25519 asks for this. */
void fwdelta_panic(void)
{
    fputs("the library panicked\n", stderr);
    abort();
}

/* One line of the index. */
struct line {
    char name[64];
    char trust[64];
    char old[64];
    char sim[64];
    char sequence[32];
    char facts[80];
    unsigned expect;
};

/* What the device knows of itself, and what that points to. */
struct known {
    fwdelta_facts facts;
    fwdelta_installed installed;
    int64_t hardware[8];
    int64_t version[8];
    uint8_t device_id[16];
    char name[16];
};

/* Reads numbers with dots between; gives how many. */
static uint32_t numbers_of(const char *text, int64_t numbers[8])
{
    uint32_t count = 0;
    char *end = NULL;
    for (;;) {
        CHECK(count < 8);
        numbers[count++] = strtoll(text, &end, 10);
        if (*end != '.')
            return count;
        text = end + 1;
    }
}

/* One KEY=VALUE of the index, or nothing for "-". */
static void known_of(struct known *known, const char *text)
{
    const char *value = strchr(text, '=');
    fwdelta_facts *facts = &known->facts;
    memset(known, 0, sizeof *known);
    facts->abi = FWDELTA_ABI_VERSION;
    if (value == NULL) {
        CHECK(strcmp(text, "-") == 0);
        return;
    }
    CHECK(strchr(text, ';') == NULL && (size_t)(value - text) < sizeof known->name);
    memcpy(known->name, text, (size_t)(value - text));
    value++;
    if (strcmp(known->name, "hardware") == 0) {
        facts->hardware_count = numbers_of(value, known->hardware);
        facts->hardware = known->hardware;
    } else if (strcmp(known->name, "device") == 0) {
        size_t i;
        for (i = 0; i < sizeof known->device_id; i++) {
            unsigned byte = 0;
            CHECK(sscanf(value + 2 * i, "%2x", &byte) == 1);
            known->device_id[i] = (uint8_t)byte;
        }
        facts->device_id = known->device_id;
    } else if (strcmp(known->name, "time") == 0) {
        facts->has_time = 1;
        facts->time = strtoull(value, NULL, 10);
    } else if (strcmp(known->name, "battery") == 0) {
        facts->has_battery = 1;
        facts->battery = (uint8_t)strtoul(value, NULL, 10);
    } else if (strcmp(known->name, "free") == 0) {
        facts->has_free_len = 1;
        facts->free_len = strtoull(value, NULL, 10);
    } else if (strcmp(known->name, "authorized") == 0) {
        facts->is_authorized = 1;
    } else {
        known->installed.name = known->name;
        known->installed.numbers = known->version;
        known->installed.count = numbers_of(value, known->version);
        facts->installed = &known->installed;
        facts->installed_count = 1;
    }
}

static fwdelta_device device_of(const char *dir, const struct line *line)
{
    fwdelta_device device;
    const char *colon = strchr(line->sim, ':');
    memset(&device, 0, sizeof device);
    device.abi = FWDELTA_ABI_VERSION;
    device.has_sequence = line->sequence[0] >= '0' && line->sequence[0] <= '9';
    device.sequence = strtoull(line->sequence, NULL, 10);
    if (colon != NULL) {
        struct bytes ef_fota = load(dir, colon + 1);
        CHECK(ef_fota.len == sizeof device.ef_fota);
        CHECK((size_t)(colon - line->sim) < sizeof device.plmn);
        device.sim = FWDELTA_SIM_WITH_FOTA;
        memcpy(device.plmn, line->sim, (size_t)(colon - line->sim));
        memcpy(device.ef_fota, ef_fota.data, ef_fota.len);
        free(ef_fota.data);
    } else if (strcmp(line->sim, "no-fota") == 0) {
        device.sim = FWDELTA_SIM_WITHOUT_FOTA;
    } else {
        CHECK(strcmp(line->sim, "none") == 0);
        device.sim = FWDELTA_SIM_ABSENT;
    }
    return device;
}

/* What one vector refers to. */
struct vector {
    struct bytes package;
    struct bytes trust;
    struct bytes old;
};

static void vector_load(struct vector *vector, const char *dir, const struct line *line)
{
    char name[80];
    snprintf(name, sizeof name, "%s.suit", line->name);
    vector->package = load(dir, name);
    vector->trust = load(dir, line->trust);
    vector->old = load(dir, line->old);
}

static void vector_free(struct vector *vector)
{
    free(vector->package.data);
    free(vector->trust.data);
    free(vector->old.data);
}

/* What may be otherwise in an hour is asked last: a damaged payload is refused, not put off. */
static void damaged_is_not_deferred(const fwdelta_update *update, struct bytes *package)
{
    fwdelta_delta delta;
    fwdelta_error error;
    CHECK(fwdelta_delta_of_package(update, 0, NULL, 0, &delta, &error) == FWDELTA_POLICY);
    package->data[package->len - 1] ^= 1;
    CHECK(fwdelta_delta_of_package(update, 0, NULL, 0, &delta, &error) == FWDELTA_CORRUPT);
    CHECK(error.detail == FWDELTA_E_PAYLOAD_DIGEST);
}

/* Applies a vector; 1 if it was accepted. */
static int run(const char *dir, const struct line *line, const struct bytes *new_image)
{
    static uint8_t envelope_buf[65536];
    static uint8_t work[1 << 21];
    struct vector vector;
    struct raw_frame frame;
    struct flash flash = flash_of(new_image->len, 512, 4);
    fwdelta_device device = device_of(dir, line);
    struct known known;
    fwdelta_decompressor decompressor = { FWDELTA_ABI_VERSION, NULL, raw_start, raw_run };
    fwdelta_target slot = target_of(&flash);
    fwdelta_limits limits;
    fwdelta_source package;
    fwdelta_source old;
    fwdelta_update update;
    fwdelta_part part;
    fwdelta_error error;
    memset(&frame, 0, sizeof frame);
    memset(&update, 0, sizeof update);
    memset(&part, 0, sizeof part);
    vector_load(&vector, dir, line);
    known_of(&known, line->facts);
    device.facts = &known.facts;
    CHECK(fwdelta_limits_linux(&limits) == FWDELTA_OK);
    package = source_of(&vector.package);
    old = source_of(&vector.old);
    decompressor.ctx = &frame;
    update.abi = FWDELTA_ABI_VERSION;
    update.package = &package;
    update.package_len = vector.package.len;
    update.trust = vector.trust.data;
    update.trust_len = vector.trust.len;
    update.device = &device;
    update.limits = &limits;
    update.decompressor = &decompressor;
    update.envelope_buf = envelope_buf;
    update.envelope_buf_len = sizeof envelope_buf;
    update.work = work;
    update.work_len = sizeof work;
    part.old = &old;
    part.old_len = vector.old.len;
    part.slot = &slot;

    fwdelta_apply(&update, &part, 1, &error);
    if (error.detail == FWDELTA_E_BAD_STREAM && frame.compressed_seen && line->expect == 0) {
        /* These two alone: what is decompressed to is shown from Rust and by the command. */
        CHECK(strcmp(line->name, "valid-fast") == 0 || strcmp(line->name, "valid-bsdiff") == 0);
        printf("%s: needs all of zstd\n", line->name);
    } else if (error.detail != line->expect) {
        fprintf(stderr, "%s: %u %s, expected %u %s\n", line->name, (unsigned)error.detail,
                fwdelta_error_name(error.detail), line->expect,
                fwdelta_error_name((uint16_t)line->expect));
        CHECK(error.detail == line->expect);
    }
    CHECK(error.old_intact == 1);
    CHECK(error.detail != 0 || flash_holds(&flash, new_image));
    CHECK(error.category != FWDELTA_WRONG_OLD || flash_is_untouched(&flash));
    CHECK(error.category != FWDELTA_SIGNATURE || flash_is_untouched(&flash));
    CHECK(error.category != FWDELTA_POLICY || flash_is_untouched(&flash));
    if (error.detail == FWDELTA_E_BATTERY_LOW || error.detail == FWDELTA_E_NOT_AUTHORIZED) {
        damaged_is_not_deferred(&update, &vector.package);
    }
    vector_free(&vector);
    free(flash.cells.data);
    return error.detail == 0;
}

int main(int argc, char **argv)
{
    char dir[512];
    char text[512];
    struct bytes new_image;
    struct line line;
    FILE *index;
    int count = 0;
    int accepted = 0;
    CHECK(argc == 2);
    snprintf(dir, sizeof dir, "%s/vectors", argv[1]);
    snprintf(text, sizeof text, "%s/vectors/index.tsv", argv[1]);
    index = fopen(text, "r");
    CHECK(index != NULL);
    new_image = load(dir, "new.bin");
    CHECK(fgets(text, sizeof text, index) != NULL);
    CHECK(strcmp(text, "name\ttrust\told\tsim\tsequence\tfacts\texpect\n") == 0);
    while (fgets(text, sizeof text, index) != NULL) {
        CHECK(sscanf(text, "%63[^\t]\t%63[^\t]\t%63[^\t]\t%63[^\t]\t%31[^\t]\t%79[^\t]\t%u",
                     line.name, line.trust, line.old, line.sim, line.sequence, line.facts,
                     &line.expect) == 7);
        accepted += run(dir, &line, &new_image);
        count++;
    }
    CHECK(count > 100 && accepted >= 5);
    fclose(index);
    free(new_image.data);
    printf("%d vectors, %d accepted\n", count, accepted);
    return passed("vectors");
}
