# SPDX-License-Identifier: MIT OR Apache-2.0
# Steps instruction by instruction through context switches and unwinds at each one: the chain must always be one whole
# stack, from where it is up to main (the thread's own stack) or to a coroutine's function. Run by tests/c/gdb_step.c.
import gdb

SWITCHES = 85
gdb.execute("set pagination off")
gdb.execute("set confirm off")
gdb.execute("set debuginfod enabled off")
gdb.execute("set backtrace limit 60")


def chain():
    """The names of the frames, innermost first, and why the unwinder stopped."""
    names, frame = [], gdb.newest_frame()
    while frame is not None:
        names.append(frame.name() or "?")
        reason = frame.unwind_stop_reason()
        frame = frame.older()
    return names, reason


def fail(message):
    gdb.write("FAILED: %s\n" % message)
    gdb.execute("kill")
    gdb.execute("quit 1")


def in_switch():
    name = gdb.newest_frame().name() or ""
    return "switch" in name and "arch" in name


gdb.execute("break ready_to_be_stepped")
gdb.execute("run")
gdb.execute("delete")
steps = checked = switches = 0
seen = set()
functions = set()
inside = False
# To the last switch of all but one of the coroutines, too.
while (switches < SWITCHES or not any("for_good" in name for name in functions)) and steps < 60000:
    gdb.execute("stepi", to_string=True)
    steps += 1
    if "clock_gettime" in (gdb.newest_frame().name() or ""):
        # The vDSO's clock page changes faster than it can be read in single steps.
        gdb.execute("finish", to_string=True)
    now = in_switch()
    if now and not inside:
        switches += 1
    inside = now
    # Around the switch every instruction counts, elsewhere a sample does.
    if not now and steps % 16:
        continue
    names, reason = chain()
    checked += 1
    ends_well = reason in (gdb.FRAME_UNWIND_NO_REASON, gdb.FRAME_UNWIND_OUTERMOST)
    if not ends_well:
        fail("%s: stopped by %s" % (names, gdb.frame_stop_reason_string(reason)))
    # A coroutine's chain ends in the library's first frame, with the coroutine's function inside it as long as it runs.
    kind = names[-1]
    if "arch" in kind and "entry" in kind:
        kind = "ping" if "ping" in names else "pong" if "pong" in names else "finishing"
    elif kind != "main":
        fail("chain ends nowhere: %s" % names)
    if "main" in names[:-1]:
        fail("chain crosses stacks: %s" % names)
    if now:
        seen.add(kind)
        functions.add(names[0])
if switches < SWITCHES:
    fail("only %d switches in %d steps" % (switches, steps))
if not {"main", "ping", "pong"} <= seen:
    fail("switches of these only: %s" % seen)
if len(functions) < 3:
    fail("not all forms of the switch: %s" % functions)
gdb.write("PASSED: %d steps, %d chains, %d switches\n" % (steps, checked, switches))
gdb.execute("kill")
gdb.execute("quit 0")
