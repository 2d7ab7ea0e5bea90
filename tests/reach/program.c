/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * program PLUGIN WAITS: each a library to load as "local:PATH", "global:PATH" or "deep:PATH", or "linked". Tells whether the
 * hooks are said to be active, and whether a wait of the program and one of the library come to them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern int plugin_reached(void (*)(void)) __attribute__((weak));
extern int plugin_active(void) __attribute__((weak));
extern const char *plugin_missing(void) __attribute__((weak));
extern void library_waits(void) __attribute__((weak));

static void program_waits(void) {
    usleep(150000);
}

static void *load(const char *how) {
    int flags = RTLD_NOW;
    if (strncmp(how, "global:", 7) == 0) flags |= RTLD_GLOBAL;
    if (strncmp(how, "deep:", 5) == 0) flags |= RTLD_DEEPBIND;
    void *library = dlopen(strchr(how, ':') + 1, flags);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return library;
}

int main(int argc, char **argv) {
    int (*reached)(void (*)(void)) = plugin_reached;
    int (*active)(void) = plugin_active;
    const char *(*missing)(void) = plugin_missing;
    void (*waits)(void) = library_waits;
    if (argc < 3) return 2;
    if (strchr(argv[1], ':')) {
        void *library = load(argv[1]);
        reached = (int (*)(void (*)(void)))dlsym(library, "plugin_reached");
        active = (int (*)(void))dlsym(library, "plugin_active");
        missing = (const char *(*)(void))dlsym(library, "plugin_missing");
    }
    if (strchr(argv[2], ':')) waits = (void (*)(void))dlsym(load(argv[2]), "library_waits");
    if (!reached || !active || !missing || !waits) return 3;
    int is_active = active(), program = reached(program_waits), library = reached(waits);
    printf("active %d missing %s program %d library %d\n", is_active, missing(), program, library);
    return 0;
}
