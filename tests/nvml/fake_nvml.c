/* A stand-in for libnvidia-ml.so.1, for machines without an NVIDIA driver. It answers from the JSON file that the
 * environment variable FAKE_NVML names, which is read at nvmlInit. To play a scenario by hand:
 *
 *     gcc -shared -fPIC -o /tmp/libnvidia-ml.so.1 tests/nvml/fake_nvml.c
 *     LABCTL_NVML_LIBRARY=/tmp/libnvidia-ml.so.1 FAKE_NVML=$PWD/tests/nvml/scenarios/eight.json labctl gpu list
 *
 * The file's path is absolute: labctl asks a library in a process whose working directory is /.
 *
 *     {"driver": "570.86.10", "nvml": "12.570.86.10", "cuda": 12080,      versions
 *      "gpus": [{...}],                                                   see below
 *      "links": [{"a": 0, "b": 1, "nvlink": true, "level": 50}],          nvmlGpuTopologyLevel_t; by place in `gpus`
 *      "without": ["FUNCTION"],                                           a driver too old to have it
 *      "errors": {"FUNCTION": 15, "OTHER": {"code": 15, "after": 2}},     it fails; or only after two good calls
 *      "hangs": ["FUNCTION"], "crashes": ["FUNCTION"]}                    it never returns; it takes its process with it
 *
 * A GPU has `errors`, `hangs` and `crashes` of its own, and the figures that the functions below ask for by name. What
 * it does not name is not supported. `mig` lists its slices, which are like GPUs; `processes` are {"pid", "mib"} and
 * `mps_processes` too, where "mib": null is memory that the driver does not tell; `accounting` lists ended and running
 * processes with "pid", "max_mib", "gpu_percent", "time_ms", "start_us" and "running".
 *
 * To extend it: a function that answers one figure is one line with the macro that fits its shape.
 */
#include <unistd.h>

#include "json.h"

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, FUNCTION_NOT_FOUND = 13 };
enum { MAX_SLICES = 8, MIB = 1024 * 1024 };

typedef unsigned long long u64;
typedef Json Device;
static Json *scenario;

static const Json *everything(void) {
    if (!scenario) scenario = json_read(getenv("FAKE_NVML"));
    return scenario;
}

static int lists(const Json *list, const char *function) {
    for (const Json *item = list ? list->first : NULL; item; item = item->next)
        if (item->kind == JSON_TEXT && !strcmp(item->text, function)) return 1;
    return 0;
}

static int failure(Json *rule) {
    const Json *code = json_get(rule, "code"), *after = json_get(rule, "after");
    if (!rule) return SUCCESS;
    if (!code) return (int)rule->number;
    unsigned calls = __atomic_fetch_add(&rule->calls, 1, __ATOMIC_RELAXED);
    return after && calls < after->number ? SUCCESS : (int)code->number;
}

static int told_of(const Json *whom, const char *function) {
    while (lists(json_get(whom, "hangs"), function)) pause();
    if (lists(json_get(whom, "crashes"), function)) abort();
    if (lists(json_get(whom, "without"), function)) return FUNCTION_NOT_FOUND;
    return failure(json_get(json_get(whom, "errors"), function));
}

static int told(const Device *device, const char *function) {
    int code = told_of(everything(), function);
    return code || !device ? code : told_of(device, function);
}

static int has(const Device *device, const char *key) {
    const Json *value = json_get(device, key);
    return value && value->kind != JSON_NULL;
}
static double figure(const Device *device, const char *key) {
    const Json *value = json_get(device, key);
    return !value ? 0 : value->kind == JSON_TRUE ? 1 : value->number;
}
static const char *text(const Json *object, const char *key, const char *otherwise) {
    const Json *value = json_get(object, key);
    return value && value->kind == JSON_TEXT ? value->text : otherwise;
}

#define OBEY(device) do { int code_ = told(device, __func__); if (code_) return code_; } while (0)
#define NEED(device, key) do { OBEY(device); if (!has(device, key)) return NOT_SUPPORTED; } while (0)
#define SYSTEM_TEXT(function, key, otherwise) \
    int function(char *out, unsigned size) { \
        OBEY(NULL); snprintf(out, size, "%s", text(everything(), key, otherwise)); return SUCCESS; }
#define DEVICE_TEXT(function, key) \
    int function(Device *d, char *out, unsigned size) { \
        NEED(d, key); snprintf(out, size, "%s", text(d, key, "")); return SUCCESS; }
#define DEVICE_FIGURE(function, type, key) \
    int function(Device *d, type *out) { NEED(d, key); *out = (type)figure(d, key); return SUCCESS; }

int nvmlInitWithFlags(unsigned flags) { (void)flags; scenario = NULL; OBEY(NULL); return SUCCESS; }
int nvmlShutdown(void) { OBEY(NULL); return SUCCESS; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the fake library"; }
SYSTEM_TEXT(nvmlSystemGetDriverVersion, "driver", "570.86.10")
SYSTEM_TEXT(nvmlSystemGetNVMLVersion, "nvml", "12.570.86.10")
int nvmlSystemGetCudaDriverVersion(int *out) {
    OBEY(NULL);
    *out = has(everything(), "cuda") ? (int)figure(everything(), "cuda") : 12080;
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *out) { OBEY(NULL); *out = json_length(json_get(everything(), "gpus")); return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **out) {
    Device *device = json_at(json_get(everything(), "gpus"), index);
    if (!device) return INVALID_ARGUMENT;
    OBEY(device);
    *out = device;
    return SUCCESS;
}

DEVICE_TEXT(nvmlDeviceGetName, "name")
DEVICE_TEXT(nvmlDeviceGetUUID, "uuid")
DEVICE_FIGURE(nvmlDeviceGetRetiredPagesPendingStatus, unsigned, "retired_pages_pending")
DEVICE_FIGURE(nvmlDeviceGetCurrentClocksEventReasons, u64, "clocks_event_reasons")
DEVICE_FIGURE(nvmlDeviceGetCurrentClocksThrottleReasons, u64, "clocks_event_reasons")
DEVICE_FIGURE(nvmlDeviceGetVirtualizationMode, u64, "virtualization_mode")
DEVICE_FIGURE(nvmlDeviceGetComputeMode, unsigned, "compute_mode")
DEVICE_FIGURE(nvmlDeviceGetPowerUsage, unsigned, "power_mw")
DEVICE_FIGURE(nvmlDeviceGetTotalEnergyConsumption, u64, "energy_mj")
DEVICE_FIGURE(nvmlDeviceGetPcieReplayCounter, unsigned, "pcie_replays")
DEVICE_FIGURE(nvmlDeviceGetAccountingMode, unsigned, "accounting_mode")

typedef struct { unsigned version, sensor; int temperature; } Temperature;
int nvmlDeviceGetTemperatureV(Device *d, Temperature *out) {
    NEED(d, "temperature_c");
    out->temperature = (int)figure(d, "temperature_c");
    return SUCCESS;
}
int nvmlDeviceGetTemperature(Device *d, unsigned sensor, unsigned *out) {
    (void)sensor;
    NEED(d, "temperature_c");
    *out = (unsigned)figure(d, "temperature_c");
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(Device *d, unsigned type, unsigned *out) {
    const char *key = type == 1 ? "sm_clock_mhz" : "memory_clock_mhz"; /* nvmlClockType_t */
    NEED(d, key);
    *out = (unsigned)figure(d, key);
    return SUCCESS;
}

typedef struct { unsigned gpu, memory; } Utilization;
int nvmlDeviceGetUtilizationRates(Device *d, Utilization *out) {
    NEED(d, "utilization_percent");
    *out = (Utilization){ (unsigned)figure(d, "utilization_percent"), (unsigned)figure(d, "memory_utilization_percent") };
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(Device *d, int *major, int *minor) {
    NEED(d, "compute_capability");
    sscanf(text(d, "compute_capability", "0.0"), "%d.%d", major, minor);
    return SUCCESS;
}

typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } Pci;
int nvmlDeviceGetPciInfo_v3(Device *d, Pci *out) {
    NEED(d, "pci");
    memset(out, 0, sizeof *out);
    sscanf(text(d, "pci", ""), "%x:%x:%x", &out->domain, &out->bus, &out->device);
    snprintf(out->bus_id, sizeof out->bus_id, "%08X:%02X:%02X.0", out->domain, out->bus, out->device);
    return SUCCESS;
}

typedef struct { u64 total, free, used; } Memory;
int nvmlDeviceGetMemoryInfo(Device *d, Memory *out) {
    NEED(d, "total_mib");
    u64 total = (u64)figure(d, "total_mib") * MIB, free = (u64)figure(d, "free_mib") * MIB;
    *out = (Memory){ total, free, total - free };
    return SUCCESS;
}

typedef struct { unsigned version; u64 total, reserved, free, used; } MemoryV2;
int nvmlDeviceGetMemoryInfo_v2(Device *d, MemoryV2 *out) {
    NEED(d, "total_mib");
    u64 total = (u64)figure(d, "total_mib") * MIB, free = (u64)figure(d, "free_mib") * MIB;
    *out = (MemoryV2){ out->version, total, 0, free, total - free };
    return SUCCESS;
}

typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } Process;
static int copy_processes(const Device *d, const char *key, unsigned *count, Process *out) {
    const Json *processes = json_get(d, key);
    unsigned room = out ? *count : 0;
    *count = json_length(processes);
    if (room < *count) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < *count; i++) {
        const Json *process = json_at(processes, i);
        u64 used = has(process, "mib") ? (u64)figure(process, "mib") * MIB : ~0ULL; /* NVML_VALUE_NOT_AVAILABLE */
        out[i] = (Process){ (unsigned)figure(process, "pid"), used, ~0U, ~0U };
    }
    return SUCCESS;
}
#define PROCESSES(function, key) \
    int function(Device *d, unsigned *count, Process *out) { NEED(d, key); return copy_processes(d, key, count, out); }
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, "processes")
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, "processes")
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3, "mps_processes")

int nvmlDeviceGetMigMode(Device *d, unsigned *current, unsigned *pending) {
    NEED(d, "mig_mode");
    *current = (unsigned)figure(d, "mig_mode");
    *pending = has(d, "mig_mode_pending") ? (unsigned)figure(d, "mig_mode_pending") : *current;
    return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(Device *d, unsigned *out) { OBEY(d); *out = MAX_SLICES; return SUCCESS; }
int nvmlDeviceGetMigDeviceHandleByIndex(Device *d, unsigned index, Device **out) {
    OBEY(d);
    return (*out = json_at(json_get(d, "mig"), index)) ? SUCCESS : NOT_FOUND;
}

int nvmlDeviceGetRemappedRows(Device *d, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failed) {
    NEED(d, "remapped_rows");
    unsigned *out[] = { corrected, uncorrected, pending, failed };
    for (unsigned i = 0; i < 4; i++) {
        const Json *value = json_at(json_get(d, "remapped_rows"), i);
        *out[i] = value ? (unsigned)value->number : 0;
    }
    return SUCCESS;
}
int nvmlDeviceGetTotalEccErrors(Device *d, int error_type, int counter_type, u64 *out) {
    const char *key = error_type == 1 ? "ecc_uncorrected" : "ecc_corrected"; /* nvmlMemoryErrorType_t */
    NEED(d, key);
    *out = counter_type == 0 ? (u64)figure(d, key) : 0; /* NVML_VOLATILE_ECC */
    return SUCCESS;
}

typedef struct { unsigned id, scope; long long timestamp, latency; int type, code; union { double d; u64 u; } value; } Field;
int nvmlDeviceGetFieldValues(Device *d, int count, Field *fields) {
    OBEY(d);
    for (int i = 0; i < count; i++) {
        int known = fields[i].id == 230 && has(d, "recovery_action"); /* NVML_FI_DEV_GET_GPU_RECOVERY_ACTION */
        fields[i].code = known ? SUCCESS : NOT_SUPPORTED;
        fields[i].value.u = (u64)figure(d, "recovery_action");
    }
    return SUCCESS;
}

typedef struct { unsigned version; unsigned char cluster[16]; int status; unsigned clique; unsigned char state; unsigned health; } Fabric;
int nvmlDeviceGetGpuFabricInfoV(Device *d, Fabric *out) {
    NEED(d, "fabric_state");
    out->state = (unsigned char)figure(d, "fabric_state");
    out->status = (int)figure(d, "fabric_status");
    return SUCCESS;
}

static const Json *link_of(const Device *a, const Device *b) {
    const Json *gpus = json_get(everything(), "gpus"), *links = json_get(everything(), "links");
    for (const Json *link = links ? links->first : NULL; link; link = link->next) {
        const Json *one = json_at(gpus, (unsigned)figure(link, "a")), *other = json_at(gpus, (unsigned)figure(link, "b"));
        if ((a == one && b == other) || (a == other && b == one)) return link;
    }
    return NULL;
}
int nvmlDeviceGetP2PStatus(Device *a, Device *b, int capability, int *out) {
    OBEY(a);
    *out = capability == 2 && figure(link_of(a, b), "nvlink") ? 0 : 5; /* NVML_P2P_STATUS_OK, _NOT_SUPPORTED */
    return SUCCESS;
}
int nvmlDeviceGetTopologyCommonAncestor(Device *a, Device *b, int *out) {
    OBEY(a);
    const Json *link = link_of(a, b);
    if (!has(link, "level")) return NOT_SUPPORTED;
    *out = (int)figure(link, "level");
    return SUCCESS;
}

int nvmlDeviceGetAccountingBufferSize(Device *d, unsigned *out) { OBEY(d); *out = 4000; return SUCCESS; }
int nvmlDeviceGetAccountingPids(Device *d, unsigned *count, unsigned *out) {
    OBEY(d);
    const Json *list = json_get(d, "accounting");
    *count = json_length(list);
    for (unsigned i = 0; i < *count; i++) out[i] = (unsigned)figure(json_at(list, i), "pid");
    return SUCCESS;
}

typedef struct { unsigned gpu, memory; u64 max_memory, time, start; unsigned running, reserved[5]; } Accounted;
int nvmlDeviceGetAccountingStats(Device *d, unsigned pid, Accounted *out) {
    OBEY(d);
    for (unsigned i = 0; i < json_length(json_get(d, "accounting")); i++) {
        const Json *entry = json_at(json_get(d, "accounting"), i);
        if ((unsigned)figure(entry, "pid") != pid) continue;
        *out = (Accounted){ .gpu = (unsigned)figure(entry, "gpu_percent"), .max_memory = (u64)figure(entry, "max_mib") * MIB,
                            .time = (u64)figure(entry, "time_ms"), .start = (u64)figure(entry, "start_us"),
                            .running = (unsigned)figure(entry, "running") };
        return SUCCESS;
    }
    return NOT_FOUND;
}
