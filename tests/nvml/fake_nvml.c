/* A stand-in for libnvidia-ml.so.1, for tests on machines without an NVIDIA driver.
 *
 * It holds the functions that labctl calls through the real Python bindings, and answers them from the text file that
 * the environment variable FAKE_NVML names. One statement a line, later lines override earlier ones:
 *
 *     driver 570.86.10 | nvml 12.570.86.10 | cuda 12080       versions
 *     gpu                                                     begins a GPU; the lines below it describe it
 *     mig                                                     begins a slice of the last GPU
 *     name NVIDIA H100 | uuid GPU-1 | total BYTES | free BYTES | capability 90 | mig_mode 1
 *     recovery N | remapped_pending 1 | remapped_failed 1 | pages_pending 1 | clocks BITS | ecc N
 *     fabric_state N | fabric_status N
 *     process PID BYTES
 *     error FUNCTION CODE                                     this function fails, for this GPU (or for all, before
 *     hang FUNCTION                                           the first `gpu`); or it never returns
 *
 * To extend it: a figure is a row of `figures`, a function is one line with the macro that fits its shape.
 * Functions of newer drivers are taken away at link time, with a version script.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, INVALID_ARGUMENT = 2, HANG = -1 };
enum { MAX_DEVICES = 16, MAX_SLICES = 8, MAX_PROCESSES = 16, MAX_RULES = 32, TEXT = 96 };

typedef unsigned long long u64;
typedef struct { char function[TEXT]; int code; } Rule;
typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } Process;
typedef struct Device {
    char name[TEXT], uuid[TEXT];
    u64 total, free, capability, mig_mode, recovery, remapped_pending, remapped_failed, pages_pending, clocks, ecc;
    u64 fabric_state, fabric_status;
    unsigned processes, slices, rules;
    Process process[MAX_PROCESSES];
    struct Device *slice[MAX_SLICES];
    Rule rule[MAX_RULES];
} Device;

static Device everything; /* holds the rules given before the first GPU */
static Device *devices[MAX_DEVICES];
static unsigned device_count;
static char driver[TEXT] = "570.86.10", nvml[TEXT] = "12.570.86.10";
static u64 cuda = 12080;

static const struct { const char *word; size_t offset; } figures[] = {
#define FIGURE(field) { #field, offsetof(Device, field) }
    FIGURE(total), FIGURE(free), FIGURE(capability), FIGURE(mig_mode), FIGURE(recovery), FIGURE(remapped_pending),
    FIGURE(remapped_failed), FIGURE(pages_pending), FIGURE(clocks), FIGURE(ecc), FIGURE(fabric_state),
    FIGURE(fabric_status),
};

static void set_figure(Device *device, const char *word, const char *rest) {
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        if (!strcmp(word, figures[i].word)) {
            *(u64 *)((char *)device + figures[i].offset) = strtoull(rest, NULL, 0);
            return;
        }
    fprintf(stderr, "fake_nvml: no such word: %s\n", word);
    abort();
}

static void add_rule(Device *device, const char *rest, int hang) {
    Rule *rule = &device->rule[device->rules++];
    rule->code = HANG;
    sscanf(rest, hang ? "%95s" : "%95s %d", rule->function, &rule->code);
}

static Device *new_device(void) { return calloc(1, sizeof(Device)); }

static Device *statement(Device *at, const char *word, const char *rest) {
    if (!strcmp(word, "gpu")) return devices[device_count++] = new_device();
    if (!strcmp(word, "mig")) {
        Device *gpu = devices[device_count - 1];
        return gpu->slice[gpu->slices++] = new_device();
    }
    if (!strcmp(word, "driver")) strcpy(driver, rest);
    else if (!strcmp(word, "nvml")) strcpy(nvml, rest);
    else if (!strcmp(word, "cuda")) cuda = strtoull(rest, NULL, 0);
    else if (!strcmp(word, "name")) strcpy(at->name, rest);
    else if (!strcmp(word, "uuid")) strcpy(at->uuid, rest);
    else if (!strcmp(word, "error")) add_rule(at, rest, 0);
    else if (!strcmp(word, "hang")) add_rule(at, rest, 1);
    else if (!strcmp(word, "process")) {
        Process *process = &at->process[at->processes++];
        sscanf(rest, "%u %llu", &process->pid, &process->used);
    } else set_figure(at, word, rest);
    return at;
}

__attribute__((constructor)) static void load(void) {
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256], word[64], rest[TEXT];
    Device *at = &everything;
    while (file && fgets(line, sizeof line, file)) {
        *rest = 0;
        if (sscanf(line, "%63s %95[^\n]", word, rest) >= 1) at = statement(at, word, rest);
    }
    if (file) fclose(file);
}

static int rule_for(const Device *device, const char *function) {
    for (unsigned i = 0; i < device->rules; i++)
        if (!strcmp(device->rule[i].function, function)) return device->rule[i].code;
    return SUCCESS;
}

static int told(const Device *device, const char *function) {
    int code = rule_for(&everything, function);
    if (!code && device) code = rule_for(device, function);
    while (code == HANG) pause();
    return code;
}

#define OBEY(device) do { int code_ = told(device, __func__); if (code_) return code_; } while (0)
#define SYSTEM_TEXT(function, value) \
    int function(char *out, unsigned size) { OBEY(NULL); snprintf(out, size, "%s", value); return SUCCESS; }
#define DEVICE_TEXT(function, field) \
    int function(Device *d, char *out, unsigned size) { OBEY(d); snprintf(out, size, "%s", d->field); return SUCCESS; }
#define DEVICE_FIGURE(function, type, field) \
    int function(Device *d, type *out) { OBEY(d); *out = (type)d->field; return SUCCESS; }

int nvmlInitWithFlags(unsigned flags) { (void)flags; OBEY(NULL); return SUCCESS; }
int nvmlShutdown(void) { OBEY(NULL); return SUCCESS; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the fake library"; }
SYSTEM_TEXT(nvmlSystemGetDriverVersion, driver)
SYSTEM_TEXT(nvmlSystemGetNVMLVersion, nvml)
int nvmlSystemGetCudaDriverVersion(int *out) { OBEY(NULL); *out = (int)cuda; return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *out) { OBEY(NULL); *out = device_count; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **out) {
    if (index >= device_count) return INVALID_ARGUMENT;
    OBEY(devices[index]);
    *out = devices[index];
    return SUCCESS;
}

DEVICE_TEXT(nvmlDeviceGetName, name)
DEVICE_TEXT(nvmlDeviceGetUUID, uuid)
DEVICE_FIGURE(nvmlDeviceGetRetiredPagesPendingStatus, unsigned, pages_pending)
DEVICE_FIGURE(nvmlDeviceGetCurrentClocksEventReasons, u64, clocks)

int nvmlDeviceGetCudaComputeCapability(Device *d, int *major, int *minor) {
    OBEY(d);
    *major = (int)d->capability / 10;
    *minor = (int)d->capability % 10;
    return SUCCESS;
}

typedef struct { u64 total, free, used; } Memory;
int nvmlDeviceGetMemoryInfo(Device *d, Memory *out) {
    OBEY(d);
    *out = (Memory){ d->total, d->free, d->total - d->free };
    return SUCCESS;
}

typedef struct { unsigned version; u64 total, reserved, free, used; } MemoryV2;
int nvmlDeviceGetMemoryInfo_v2(Device *d, MemoryV2 *out) {
    OBEY(d);
    *out = (MemoryV2){ out->version, d->total, 0, d->free, d->total - d->free };
    return SUCCESS;
}

static int copy_processes(const Device *d, unsigned *count, Process *out) {
    unsigned room = out ? *count : 0;
    *count = d->processes;
    if (room < d->processes) return INSUFFICIENT_SIZE;
    memcpy(out, d->process, d->processes * sizeof *out);
    return SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device *d, unsigned *count, Process *out) {
    OBEY(d);
    return d->processes ? copy_processes(d, count, out) : SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v2(Device *d, unsigned *count, Process *out) {
    OBEY(d);
    return d->processes ? copy_processes(d, count, out) : SUCCESS;
}

int nvmlDeviceGetMigMode(Device *d, unsigned *current, unsigned *pending) {
    OBEY(d);
    *current = *pending = (unsigned)d->mig_mode;
    return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(Device *d, unsigned *out) { OBEY(d); *out = MAX_SLICES; return SUCCESS; }
int nvmlDeviceGetMigDeviceHandleByIndex(Device *d, unsigned index, Device **out) {
    OBEY(d);
    if (index >= d->slices) return NOT_FOUND;
    *out = d->slice[index];
    return SUCCESS;
}

int nvmlDeviceGetRemappedRows(Device *d, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failed) {
    OBEY(d);
    *corrected = *uncorrected = 0;
    *pending = (unsigned)d->remapped_pending;
    *failed = (unsigned)d->remapped_failed;
    return SUCCESS;
}
int nvmlDeviceGetTotalEccErrors(Device *d, int error_type, int counter_type, u64 *out) {
    OBEY(d);
    *out = error_type == 1 && counter_type == 0 ? d->ecc : 0;
    return SUCCESS;
}

typedef struct { unsigned id, scope; long long timestamp, latency; int type, code; union { double d; u64 u; } value; } Field;
int nvmlDeviceGetFieldValues(Device *d, int count, Field *fields) {
    OBEY(d);
    for (int i = 0; i < count; i++) {
        fields[i].code = fields[i].id == 230 ? SUCCESS : NOT_SUPPORTED; /* NVML_FI_DEV_GET_GPU_RECOVERY_ACTION */
        fields[i].value.u = d->recovery;
    }
    return SUCCESS;
}

typedef struct { unsigned version; unsigned char cluster[16]; int status; unsigned clique; unsigned char state; unsigned health; } Fabric;
int nvmlDeviceGetGpuFabricInfoV(Device *d, Fabric *out) {
    OBEY(d);
    out->state = (unsigned char)d->fabric_state;
    out->status = (int)d->fabric_status;
    return SUCCESS;
}
