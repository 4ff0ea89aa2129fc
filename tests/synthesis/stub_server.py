"""A server on this machine's loopback that speaks the OpenAI API: the same answer to the same request, and faults to order."""

import hashlib
import http.server
import json
import random
import threading
import time

VERBS = ("Describe", "Compare", "Explain", "List", "Invent", "Defend", "Question", "Imagine", "Outline", "Translate")
THINGS = ("rivers", "bakeries", "treaties", "comets", "violins", "taxes", "harvests", "bridges", "dialects", "chess openings")
PLACES = ("in ancient Rome", "for beginners", "within a novel", "during winter", "after midnight", "at sea", "by example")
ENDS = ("using only questions", "as a dialogue", "with three numbers", "for a sceptical aunt", "in reverse order")
# What must not pass, one of each in some lists: the filter's name is in the test that looks for it.
PLANTED = (
    "Name birds.",
    "Draw a plan of the old town with its walls.",
    "- list the ingredients of a good soup",
    "Écris un poème sur la mer en hiver.",
    "Write a program that sorts the names of rivers.",
    "Sort the words by the alphabet!",
)


def proposals(drawn: random.Random, first: int) -> str:
    made = [" ".join(drawn.choice(part) for part in (VERBS, THINGS, PLACES, ENDS)) + "." for _ in range(5)]
    made += [f"Decide whether {drawn.choice(THINGS)} {drawn.choice(PLACES)} sound {drawn.choice(('old', 'rich', 'sad'))}."]
    made += [drawn.choice(PLANTED)]
    drawn.shuffle(made)
    return "\n".join(f"{' ' if n == first else f'{n}. '}{text}" for n, text in enumerate(made, first))


def answer(prompt: str, seed: int) -> tuple[str, str]:
    """What the stub writes after a prompt, and why it ends: a function of both, of the kind that each prompt asks for."""
    drawn = random.Random(hashlib.sha256(f"{seed} {prompt}".encode()).hexdigest())
    task = prompt.rsplit("Task: ", 1)[-1].partition("\n")[0]
    if prompt.endswith("Classification:"):
        return (" Yes" if task.startswith("Decide") else " No"), "stop"
    if prompt.endswith("Label:"):
        return " yes\nInput: the first of them\nLabel: no\nInput: the second of them", "stop"
    if prompt.endswith("Example 1"):
        cases = [
            f"\nInput: case {n}\nOutput: {drawn.choice(('So', 'Thus', 'Well'))}, {task.lower()} {n}"
            for n in range(drawn.randint(1, 4))
        ]
        cases += drawn.choice(([], ["\nInput: an echo\nOutput: an echo"], ["\nOutput:"], ["\nOutput: As follows:"], [cases[0]]))
        return "\nExample 2".join(cases), drawn.choice(("stop", "stop", "stop", "length"))
    return proposals(drawn, int(prompt.rsplit("\n", 1)[-1].rstrip("."))), drawn.choice(("stop", "stop", "length"))


class Stub(http.server.ThreadingHTTPServer):
    """The server.

    Attributes:
      faults: what to do instead of answering, one for each request until they are used up: (status, headers, body), whose
        body may be a list of parts with a pause before each, or a number of seconds to sleep before answering.
      asked: the requests' (path, headers, fields), in the order in which they came.
      pause: seconds before each answer.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.asked, self.pause, self.lock = [], [], 0.0, threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append((self.path, dict(self.headers), fields))
            fault = self.server.faults.pop(0) if self.server.faults else self.server.pause
        if isinstance(fault, tuple):
            self._send(*fault)
            return
        time.sleep(fault)
        prompt = fields["messages"][0]["content"] if "messages" in fields else fields["prompt"]
        text, reason = answer(prompt, fields["seed"])
        choice = {"message": {"role": "assistant", "content": text}} if "messages" in fields else {"text": text}
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
        self._send(200, {}, json.dumps({"choices": [choice | {"finish_reason": reason}], "usage": usage}))

    def _send(self, status, headers, body):
        parts = [(0.0, body)] if isinstance(body, str) else [(0.05, part) for part in body]
        try:
            self.send_response(status)
            for name, value in ({"Content-Length": sum(len(part.encode()) for _, part in parts)} | headers).items():
                self.send_header(name, str(value))
            self.end_headers()
            for pause, part in parts:
                time.sleep(pause)
                self.wfile.write(part.encode())
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client stopped waiting, which is what was asked for

    def log_message(self, format, *values):
        del format, values
