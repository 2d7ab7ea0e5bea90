# SPDX-License-Identifier: MIT OR Apache-2.0
# A breakpoint in a coroutine: bt walks to the coroutine's function and ends cleanly. Run by tests/c/gdb_backtrace.c.
import gdb

gdb.execute("set pagination off")
gdb.execute("set confirm off")
gdb.execute("set debuginfod enabled off")
gdb.execute("set backtrace past-main on")
gdb.execute("break stop_here")
gdb.execute("run")
for kind in range(4):
    text = gdb.execute("backtrace 40", to_string=True)
    frame, names = gdb.newest_frame(), []
    while frame is not None and len(names) < 100:
        names.append(frame.name() or "?")
        reason = frame.unwind_stop_reason()
        frame = frame.older()
    bad = (
        names[0] != "stop_here"
        or names.count("recurse") != 5
        or names.count("body") != 1
        or "main" in names
        or len(names) > 10
        or reason not in (gdb.FRAME_UNWIND_NO_REASON, gdb.FRAME_UNWIND_OUTERMOST)
        or "corrupt" in text
        or "Backtrace stopped" in text
    )
    if bad:
        gdb.write("FAILED: %s\n%s" % (gdb.frame_stop_reason_string(reason), text))
        gdb.execute("kill")
        gdb.execute("quit 1")
    gdb.execute("continue")
gdb.write("PASSED\n")
gdb.execute("kill")
gdb.execute("quit 0")
