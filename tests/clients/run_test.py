#!/usr/bin/env python3
"""What `run` says of a client that does not do what it should."""

import importlib.machinery
import importlib.util
import os
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
loader = importlib.machinery.SourceFileLoader("run", os.path.join(HERE, "run"))
run = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", loader))
loader.exec_module(run)


class Follow(unittest.TestCase):
    def failure(self, program):
        with self.assertRaises(run.Failed) as failure:
            run.follow("python", [sys.executable, "-c", program], {})
        return str(failure.exception)

    def test_one_that_hangs_took_too_long(self):
        usual, run.CLIENT_SECONDS = run.CLIENT_SECONDS, 0.2
        self.addCleanup(setattr, run, "CLIENT_SECONDS", usual)
        self.assertEqual(self.failure("import time; time.sleep(60)"), "python took more than 0.2 s")

    def test_one_that_leaves_another_behind_took_too_long_too(self):
        usual, run.CLIENT_SECONDS = run.CLIENT_SECONDS, 0.5
        self.addCleanup(setattr, run, "CLIENT_SECONDS", usual)
        sleep = "import time; time.sleep(20)"
        program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleep!r}])"
        start = time.monotonic()
        self.assertEqual(self.failure(program), "python took more than 0.5 s")
        self.assertLess(time.monotonic() - start, 10)

    def test_one_that_fails_ended_with_its_code(self):
        self.assertEqual(self.failure("raise SystemExit(3)"), "python ended with 3")


if __name__ == "__main__":
    unittest.main()
