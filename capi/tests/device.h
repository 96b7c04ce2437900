/* One device as the tests see it: what docs/c-api.md shows, with memory for storage. */
#ifndef DEVICE_H
#define DEVICE_H

#include "harness.h"

/* Programs that need more say so before. */
#ifndef WORK_LEN
#define WORK_LEN 10240
#endif

/* Everything a call refers to, in one place: nothing of it moves while `update` is used. */
struct rig {
    struct bytes package_bytes;
    struct bytes trust;
    fwdelta_source package;
    fwdelta_device device;
    fwdelta_limits limits;
    uint8_t envelope_buf[4096];
    uint8_t work[WORK_LEN];
    fwdelta_update update;
    fwdelta_error error;
};

/* A device without EF_FOTA and without any update yet. */
static void rig_open_bare(struct rig *rig, const char *dir, const char *package)
{
    memset(rig, 0, sizeof *rig);
    rig->package_bytes = load(dir, package);
    rig->trust = load(dir, "trust.cbor");
    rig->package = source_of(&rig->package_bytes);
    rig->device.abi = FWDELTA_ABI_VERSION;
    rig->device.sim = FWDELTA_SIM_ABSENT;
    CHECK(fwdelta_limits_device(&rig->limits) == FWDELTA_OK);
    rig->update.abi = FWDELTA_ABI_VERSION;
    rig->update.package = &rig->package;
    rig->update.package_len = rig->package_bytes.len;
    rig->update.trust = rig->trust.data;
    rig->update.trust_len = rig->trust.len;
    rig->update.device = &rig->device;
    rig->update.limits = &rig->limits;
    rig->update.envelope_buf = rig->envelope_buf;
    rig->update.envelope_buf_len = sizeof rig->envelope_buf;
    rig->update.work = rig->work;
    rig->update.work_len = sizeof rig->work;
}

/* A device with the SIM of ef_fota.bin, issued by 26201, that confirmed update 6. */
static inline void rig_open(struct rig *rig, const char *dir, const char *package)
{
    struct bytes ef_fota = load(dir, "ef_fota.bin");
    rig_open_bare(rig, dir, package);
    CHECK(ef_fota.len == FWDELTA_EF_FOTA_LEN);
    rig->device.sim = FWDELTA_SIM_WITH_FOTA;
    memcpy(rig->device.ef_fota, ef_fota.data, ef_fota.len);
    memcpy(rig->device.plmn, "26201", 6);
    rig->device.has_sequence = 1;
    rig->device.sequence = 6;
    free(ef_fota.data);
}

static void rig_close(struct rig *rig)
{
    free(rig->package_bytes.data);
    free(rig->trust.data);
}

/* What fwdelta_error says agrees with what the function returned; the old image is whole. */
static inline int refused(const struct rig *rig, fwdelta_status status, uint16_t detail)
{
    return says(&rig->error, status, detail) && rig->error.old_intact == 1;
}

#endif
