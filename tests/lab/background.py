# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes on in a thread of its own while a test does something else."""
import threading


class Background:
    """From _begin() to close() its _run() goes on in a thread, until it sees that _ends is true; then _release().
    Also a context manager."""

    _ends = False

    def _begin(self):
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        raise NotImplementedError

    def _release(self):
        """Closes what _run() had in use."""

    def close(self):
        if not self._ends:
            self._ends = True
            self._thread.join()
            self._release()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
