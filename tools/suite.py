"""Runs the parts of the test suite side by side; plain Python, for `./dev test`."""

import ast
import os
import pathlib
import re
import signal
import subprocess
import time
import xml.etree.ElementTree as xml

# Endings of pytest that are no fault of a test: all passed, some failed, none selected.
FINISHED = (0, 1, 5)
SLOWEST = 20
# Seconds without a word after which a part that is at work says so.
SILENCE = 30
# Lines that say nothing about the tests.
NOISE = re.compile(
    rb"Running as user 'root'|^<string>:\d+: \(|^bringing up nodes|^created: \d+/|^-+ generated xml|^\s*$"
)


class Part:
    """A process of the suite: a command, what it needs, and what became of it."""

    def __init__(
        self, name, title, command, folder, *, needs=(), environment=None, tests=True, width=1
    ):
        """Describe a part.

        :param name: a word, unique in a run
        :param title: what is said when its output begins
        :param command: the words of the command
        :param folder: where its output and its report of tests are kept
        :param needs: names of parts that must have passed before it starts
        :param environment: variables in addition to this process's
        :param tests: whether it is pytest, which is asked for a report
        :param width: how many cores it uses
        """
        self.name = name
        self.width = width
        self.title = title
        self.needs = set(needs)
        self.after = set()  # names of parts that must have ended, however, before it starts
        self.tests = tests
        self.log = pathlib.Path(folder) / f"{name}.log"
        self.report = pathlib.Path(folder) / f"{name}.xml" if tests else None
        self.command = [str(word) for word in command]
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.status = None
        self.began = self.seconds = 0

    def start(self, folder):
        self.began = time.monotonic()
        command = self.command
        if self.report:
            self.report.unlink(missing_ok=True)
            command = [*command, f"--junit-xml={self.report}", "-o", "junit_logging=no"]
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def poll(self):
        """Return whether it is done."""
        if self.status is None and self.process and self.process.poll() is not None:
            self.status = self.process.returncode
            self.seconds = time.monotonic() - self.began
        return self.status is not None

    def stop(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def cases(self):
        """The tests that ran, as (name, seconds, outcome: passed, failed or skipped)."""
        if not self.report or not self.report.exists():
            return []
        try:
            root = xml.parse(self.report).getroot()
        except xml.ParseError:
            return []
        found = []
        for case in root.iter("testcase"):
            failed = case.find("failure") is not None or case.find("error") is not None
            outcome = (
                "failed" if failed else "skipped" if case.find("skipped") is not None else "passed"
            )
            place = case.get("classname", "").removeprefix("odoo.addons.")
            # A test that stopped the clock may have stopped pytest's.
            seconds = float(case.get("time") or 0)
            found.append(
                (f"{place}.{case.get('name')}", 0 if seconds > self.seconds else seconds, outcome)
            )
        return found

    @property
    def verdict(self):
        """What became of it, in words; empty if all is well."""
        if self.status is None:
            return "did not run, since what it needs failed"
        if self.report and self.status not in FINISHED:
            how = f"by signal {-self.status}" if self.status < 0 else f"with status {self.status}"
            return f"crashed: ended {how}"
        if self.report and self.process and self.status != 5 and not self.report.exists():
            return "crashed: left no report"
        return "" if self.status in (0, *((5,) if self.report else ())) else "failed"


class Stream:
    """Shows a part's output as it grows, whole lines first, without noise."""

    def __init__(self, out):
        self.out = out
        self.position = 0
        self.kept = b""
        self.begun = False  # the first bytes of an unfinished line are out already
        self.said = time.monotonic()

    def follow(self, part, final):
        if not part.log.exists():
            return
        with part.log.open("rb") as stream:
            stream.seek(self.position)
            new = stream.read()
        self.position += len(new)
        lines = (self.kept + new).split(b"\n")
        self.kept = lines.pop()
        for line in lines:
            if self.begun or not NOISE.search(line):
                self.write(line + b"\n")
            self.begun = False
        # Dots of a line that is not full yet are shown as they come.
        if self.kept and (final or re.fullmatch(rb"[.FEsxX]+", self.kept)):
            self.write(self.kept)
            self.kept, self.begun = b"", not final
            if final:
                self.write(b"\n")
        if not final and time.monotonic() - self.said > SILENCE:
            minutes, seconds = divmod(int(time.monotonic() - part.began), 60)
            self.write(f"\n==> {part.name}: at work for {minutes}:{seconds:02}\n".encode())

    def write(self, text):
        self.said = time.monotonic()
        self.out.write(text)
        self.out.flush()


def run(parts, folder, lanes, out, say):
    """Run parts, as many at once as there are lanes; show their output in order.

    :param parts: in the order in which they start and are shown
    :param folder: where the commands run
    :param lanes: while fewer are taken by the parts at work, the next one starts; more than there are
        cores, since parts wait for browsers and databases
    :param out: a binary stream that takes the output
    :param say: a function that takes a line of progress
    :return: whether all passed
    """
    waiting, shown, stream = list(parts), 0, None
    # Asked to end, it ends what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while shown < len(parts):
            done = {part.name for part in parts if part.poll()}
            failed = {part.name for part in parts if part.name in done and part.verdict}
            at_work = sum(part.width for part in parts if part.process and part.status is None)
            for part in list(waiting):
                if part.needs & failed:
                    waiting.remove(part)
                elif at_work < lanes and part.needs | part.after <= done:
                    waiting.remove(part)
                    part.start(folder)
                    at_work += part.width
            current = parts[shown]
            lost = current not in waiting and not current.process
            if stream is None and (current.process or lost):
                say(current.title)
                stream = Stream(out)
            if stream:
                final = current.poll()
                stream.follow(current, final or lost)
                if final or lost:
                    if current.verdict:
                        say(f"{current.name} {current.verdict} (its output is in {current.log})")
                    shown, stream = shown + 1, None
                    continue
            time.sleep(0.1)  # between two looks at the parts and their output
    finally:
        for part in parts:
            part.stop()
    return not any(part.verdict for part in parts)


def run_here(parts, folder):
    """Run parts one after the other, the terminal theirs; return whether all passed.

    Those that are no tests are begun at once, beside them; tests get their processes' ids, as
    RB_TEST_BESIDE, to wait for.
    """
    beside = [part for part in parts if not part.tests]
    for part in beside:
        part.start(folder)
    ids = " ".join(str(part.process.pid) for part in beside)
    try:
        for part in parts:
            if part.tests:
                environment = {**part.environment, "RB_TEST_BESIDE": ids}
                part.status = subprocess.run(part.command, cwd=folder, env=environment).returncode
        for part in beside:
            part.process.wait()
            part.poll()
    finally:
        for part in beside:
            part.stop()
    for part in parts:
        if part.verdict:
            if not part.tests:
                print(part.log.read_text(), end="")
            if part.status != 1:
                print(f"{part.name} {part.verdict}", flush=True)
    return not any(part.verdict for part in parts)


def summarise(parts):
    """Print which tests were slowest, how long the parts took and, last, the sums."""
    cases = [case for part in parts for case in part.cases]
    for name, seconds, _outcome in sorted(cases, key=lambda case: -case[1])[:SLOWEST]:
        if seconds >= 1:
            print(f"{seconds:7.1f} s  {name}")
    sums = {"passed": 0, "failed": 0, "skipped": 0}
    for _name, _seconds, outcome in cases:
        sums[outcome] += 1
    for part in parts:
        verdict = part.verdict
        # What crashed or failed without a test that says so counts as one failure.
        if verdict and not any(outcome == "failed" for _name, _seconds, outcome in part.cases):
            sums["failed"] += 1
        print(f"{verdict.partition(':')[0] or 'passed':8} {part.name:10} {part.seconds:6.0f} s")
    print(", ".join(f"{number} {outcome}" for outcome, number in sums.items()), flush=True)


def find_files(folder, keyword="", marker=""):
    """Return the test files of a folder in which an expression of `-k` or `-m` can match.

    Names are compared as pytest does, without regard to case; what is excluded by *not* cannot be
    told from names, and then all files are returned.
    """
    files = sorted(pathlib.Path(folder).rglob("test_*.py"))
    for expression, names_of in ((keyword, _get_names), (marker, _get_markers)):
        words = [word.lower() for word in re.findall(r"[^\s()]+", expression)]
        if not words or "not" in words:
            continue
        words = [word for word in words if word not in ("and", "or")]
        files = [
            file for file in files if any(word in name for word in words for name in names_of(file))
        ]
    return files


def _get_names(file):
    """Return what `-k` looks at: file, folders, classes and functions."""
    names = {part.lower() for part in file.parts[-3:]}
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name.lower())
    return names


def _get_markers(file):
    """Return the marks in a file, and the one that its folder's conftest.py gives to all."""
    conftest = file.parent / "conftest.py"
    texts = [file.read_text(), conftest.read_text() if conftest.exists() else ""]
    return {name for text in texts for name in re.findall(r"pytest\.mark\.(\w+)", text)}
