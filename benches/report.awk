# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Turns what the programs have printed into markdown tables. yield.txt and sync.txt: stacks, what, best, median, and in
# sync.txt allocations and system calls; crowd.txt: stacks, coroutines, ns to create, wait, end, bytes, bytes of page
# tables; echo.txt: the lines of load.c, tab-separated.

FILENAME ~ /(yield|sync)\.txt$/ {
    key = $1 " " $2
    runs[key]++
    best[key, runs[key]] = $3
    typical[key, runs[key]] = $4
}

FILENAME ~ /sync\.txt$/ {
    if ($5 > most_allocations[$2])
        most_allocations[$2] = $5
    if ($6 == "-")
        uncounted = 1
    else if ($6 > most_calls[$2])
        most_calls[$2] = $6
    if ($5 > worst_allocations)
        worst_allocations = $5
    if ($6 != "-" && $6 > worst_calls)
        worst_calls = $6
}

FILENAME ~ /crowd\.txt$/ {
    crowd[$1, $2] = sprintf("%.0f | %.0f | %.0f | %s + %s", $3, $4, $5, $6, $7)
    if (!(("sum", $2) in crowd))
        crowds[++crowd_count] = $2
    crowd["sum", $2] = 1
}

FILENAME ~ /echo\.txt$/ {
    rows++
    row[rows] = $0
    cpu_ratio[$1, $2] = $5
    calls[$1, $2] = $6
}

function median(values, key,    n, i, j, t, a) {
    n = runs[key]
    for (i = 1; i <= n; i++) {
        t = values[key, i]
        for (j = i - 1; j >= 1 && a[j] > t; j--)
            a[j + 1] = a[j]
        a[j + 1] = t
    }
    return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}

function least(values, key,    i, t) {
    t = values[key, 1]
    for (i = 2; i <= runs[key]; i++)
        if (values[key, i] < t)
            t = values[key, i]
    return t
}

function cell(key) {
    return sprintf("%.1f (%.1f)", least(best, key), median(typical, key))
}

function shared_to_own(count) {
    return least(best, "shared " count) / least(best, "own " count)
}

function yield_row(count, title) {
    printf "| %s | %s | %s | %.2f |\n", title, cell("own " count), cell("shared " count), shared_to_own(count)
}

function sync_row(what, title) {
    printf "| %s | %s | %s | %.3f | %s |\n", title, cell("own " what), cell("shared " what), most_allocations[what],
        uncounted ? "-" : sprintf("%.3f", most_calls[what])
}

function grouped(number) {
    if (length(number) > 6)
        return grouped(substr(number, 1, length(number) - 6)) "," substr(number, length(number) - 5, 3) "," \
            substr(number, length(number) - 2)
    if (length(number) > 3)
        return substr(number, 1, length(number) - 3) "," substr(number, length(number) - 2)
    return number
}

function goal(text, value, limit, format) {
    printf "| %s | %s | " format " | %s |\n", text, limit, value, value <= limit ? "yes" : "no"
}

function echo_goals(server, count,    title) {
    title = sprintf("echo, %s connections, %s stacks", count, substr(server, 6))
    goal(title ": server CPU per request / plain epoll", cpu_ratio[server, count], 1.10, "%.2f")
    if (calls[server, count] != "-")
        goal(title ": system calls per request more than plain epoll",
             calls[server, count] - calls["epoll", count], 0.1, "%.3f")
}

END {
    print "\n## Yield\n"
    print "CPU ns per `dyco_coroutine_sleep(0)`, which switches to the next ready coroutine; each on a stack of its own"
    print "(`setStack`, 16 KiB) or all on the scheduler's shared stacks. Best batch of all runs; in brackets the median,"
    print "which counts what else the machine does: a busy neighbour on the same core costs half as much again.\n"
    print "| coroutines | own stack | shared stacks | shared / own |"
    print "| --- | --- | --- | --- |"
    yield_row(2, "2")
    yield_row(8, "8")
    yield_row(1000, "1,000")
    yield_row(100000, "100,000")
    yield_row(0, "create + run + finish, 1,000 at a time")

    print "\n## Waiting for each other\n"
    print "CPU ns per operation, best (median) as above, coroutines on stacks of their own or on shared ones; allocations"
    print "and system calls per operation, counted over 100,000 of them.\n"
    print "| operation | own stack | shared stacks | allocations | system calls |"
    print "| --- | --- | --- | --- | --- |"
    sync_row("ping-pong", "channel message of 64 bytes, two coroutines in turn")
    sync_row("stream", "channel message of 64 bytes, one sends and the other receives")
    sync_row("semaphore", "semaphore, wait + signal, uncontended")
    sync_row("hand-over", "semaphore, hand-over to another coroutine")
    sync_row("waitgroup", "waitgroup, done + wait for all, of 8")
    sync_row("publish-1", "publish to 1 subscriber, per copy")
    sync_row("publish-100", "publish to 100 subscribers, per copy")
    sync_row("pool", "pool, obtain + run + return, with waiting")
    sync_row("asymmetric", "asymmetric resume or yield")

    print "\n## Crowds\n"
    print "So many coroutines are created, wait on one semaphore, are woken and end: CPU ns for each step, per coroutine;"
    print "resident bytes of each while it waits + page tables. Best of several crowds, of two where they are a million."
    print "Beyond 4,096 a coroutine with a stack of its own takes its page from the kernel and gives it back: the faults are"
    print "what the figures show.\n"
    print "| coroutines | own: create | wait | end | bytes | shared: create | wait | end | bytes |"
    print "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for (i = 1; i <= crowd_count; i++)
        printf "| %s | %s | %s |\n", grouped(crowds[i]), crowd["own", crowds[i]], crowd["shared", crowds[i]]

    print "\n## Echo\n"
    print "64-byte messages, one in flight per connection, every byte checked; server pinned to one CPU, load to another."
    print "The servers take turns of a fraction of a second; figures are medians over the turns. CPU is the server's,"
    print "from its own CPU clock, over exactly the measured requests; ratio is to the plain level-triggered epoll server"
    print "in the same round; system calls are counted in extra turns."
    connections = ""
    for (i = 1; i <= rows; i++) {
        split(row[i], f, "\t")
        if (f[2] != connections) {
            connections = f[2]
            printf "\n%s connection%s\n\n", connections, (connections > 1 ? "s" : "")
            print "| server | requests/s | CPU us/request | ratio | system calls/request | p50 us | p99 us | slowest / fastest connection |"
            print "| --- | --- | --- | --- | --- | --- | --- | --- |"
        }
        printf "| %s | %s | %.2f | %.3f | %s | %s | %s | %.2f |\n", f[1], f[3], f[4] / 1000, f[5], f[6], f[7], f[8],
            f[9] / f[10]
    }

    print "\n## Goals\n"
    print "| goal | at most | measured | met |"
    print "| --- | --- | --- | --- |"
    goal("yield, own stacks, 2 coroutines, ns", least(best, "own 2"), 15, "%.1f")
    goal("yield, own stacks, 1,000 coroutines, ns", least(best, "own 1000"), 15, "%.1f")
    goal("yield, 8 coroutines, shared / own", shared_to_own(8), 1.5, "%.2f")
    for (i = 1; i <= 2; i++) {
        stacks = i == 1 ? "own" : "shared"
        goal("channel message in turn, " stacks " stacks, ns", least(best, stacks " ping-pong"), 60, "%.1f")
        goal("channel message one way, " stacks " stacks, ns", least(best, stacks " stream"), 60, "%.1f")
        goal("semaphore, wait + signal, " stacks " stacks, ns", least(best, stacks " semaphore"), 30, "%.1f")
    }
    goal("waiting for each other, allocations per operation", worst_allocations, 0, "%.4f")
    if (!uncounted)
        goal("waiting for each other, system calls per operation", worst_calls, 0.001, "%.4f")
    for (i = 100; i <= 1000; i *= 10) {
        echo_goals("dyco-own", i)
        echo_goals("dyco-shared", i)
    }
}
