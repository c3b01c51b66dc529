"""Print, after the faults, their figures: what was killed and when, planted and found.

A test hands a figure over by ``record_property(name, value)``, with a name that stands below.
"""

from collections import Counter, defaultdict


def pytest_terminal_summary(terminalreporter):
    figures = defaultdict(list)  # name -> (value, whether its test passed)
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in report.user_properties if report.when == "call" else []:
                figures[name].append((value, report.passed))
    if kills := figures["kill"]:
        terminalreporter.section(f"{len(kills)} kills")
        for line, _ in kills:
            terminalreporter.write_line(line)
    if bugs := figures["planted bug"]:
        made = Counter(notebook for notebook, _ in bugs)
        found = Counter(notebook for notebook, passed in bugs if passed)
        rate = found.total() / made.total()
        terminalreporter.section(f"planted bugs: {found.total()} of {made.total()} found")
        each = ", ".join(
            f"{notebook} {found[notebook]}/{made[notebook]}" for notebook in sorted(made)
        )
        terminalreporter.write_line(f"kill rate {rate:.1%}; by notebook {each}")
