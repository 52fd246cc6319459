"""The server of `kerastl try`: its list of files, whom it answers, and the interpreter's scores."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kerastl.deploy.preview.server import PAGE, find_file, open_server
from kerastl.deploy.tflite import to_float32, to_int8
from kerastl.errors import InputError
from kerastl.inference.litert import LiteRTModel
from kerastl.inference.sidecar import write_sidecar
from tests.support.tiny_models import SIZE, TASKS, patches, tiny

BYTES = SIZE * SIZE * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    (folder / "model_float32.tflite").write_bytes(to_float32(tiny()))
    write_sidecar(folder, TASKS, (SIZE, SIZE), {"alarm": [0.3], "marks": [0.2, 0.7]})
    return folder


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runtime")
    for name in ("core/dist/index.js", "core/wasm/a.wasm", "wasm-utils/dist/index.js"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture(scope="module")
def server(folder, runtime):
    with open_server(folder, browser_runtime=runtime) as opened:
        yield opened


def ask(server, path, data=None, **headers):
    """Status, headers and body, also of a refusal."""
    request = urllib.request.Request(server.url.rstrip("/") + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_every_route_gives_its_file(server, folder, runtime):
    expected = {
        "/": (PAGE / "index.html", "text/html; charset=utf-8"),
        "/try.js": (PAGE / "try.js", "text/javascript; charset=utf-8"),
        "/try.css": (PAGE / "try.css", "text/css; charset=utf-8"),
        "/model.tflite": (folder / "model_float32.tflite", "application/octet-stream"),
        "/litert/core/dist/index.js": (
            runtime / "core/dist/index.js", "text/javascript; charset=utf-8",
        ),
        "/litert/core/wasm/a.wasm": (runtime / "core/wasm/a.wasm", "application/wasm"),
        "/litert/wasm-utils/dist/index.js": (
            runtime / "wasm-utils/dist/index.js", "text/javascript; charset=utf-8",
        ),
    }  # fmt: skip
    assert set(server.files) == set(expected)
    for route, (file, kind) in expected.items():
        status, headers, body = ask(server, route)
        assert (status, headers["Content-Type"], body) == (200, kind, file.read_bytes()), route
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_policy_lets_in_the_page_alone_and_its_import_map(tmp_path, monkeypatch, folder):
    (tmp_path / "index.html").write_text('<script type="importmap">{}</script><script>x</script>')
    monkeypatch.setattr("kerastl.deploy.preview.server.PAGE", tmp_path)
    with open_server(folder) as server:
        policy = ask(server, "/")[1]["Content-Security-Policy"]
    # sha256 of "{}", in base64.
    of_map = "sha256-RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o="
    assert f"script-src 'self' 'wasm-unsafe-eval' '{of_map}';" in policy
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert not re.search(r"https?:", policy)


def test_about_says_what_the_page_needs(server):
    status, headers, body = ask(server, "/about.json")
    about = json.loads(body)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert about["runtime"] == "browser"
    assert about["file"] == "/model.tflite"
    assert about["title"].endswith("/model_float32.tflite")
    dtype = LiteRTModel(server.predictor.path).input_dtype
    assert about["input"] == {"height": SIZE, "width": SIZE, "dtype": dtype}
    assert about["tasks"] == [
        {"name": t.name, "kind": t.kind, "classes": list(t.classes), "output": t.name,
         "thresholds": {"alarm": [0.3], "marks": [0.2, 0.7]}.get(t.name, []),
         "scale": None, "zero_point": None}
        for t in TASKS
    ]  # fmt: skip


def test_without_litert_js_the_interpreter_is_told(folder):
    with open_server(folder) as server:
        assert json.loads(ask(server, "/about.json")[2])["runtime"] == "interpreter"
        assert ask(server, "/litert/core/dist/index.js")[0] == 404


def test_the_page_is_told_what_the_codes_of_a_quantised_file_mean(runtime, tmp_path):
    # LiteRT.js gives 141 where the score is 141 / 256; the interpreter behind the page the score.
    (tmp_path / "model_int8.tflite").write_bytes(to_int8(tiny(), patches()))
    write_sidecar(tmp_path, TASKS, (SIZE, SIZE))
    with open_server(tmp_path, browser_runtime=runtime) as server:
        about = json.loads(ask(server, "/about.json")[2])
        assert about["runtime"] == "browser"
        assert [(t["scale"], t["zero_point"]) for t in about["tasks"]] == [(1 / 256, 0)] * 3
        scores = json.loads(ask(server, "/scores", patches(1).tobytes())[2])["scores"]
    assert sum(scores["zone"]) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    "path",
    [
        "/index.html", "/nothing", "/try.js/", "/../setup.py", "/..%2f..%2fsetup.py",
        "/litert/", "/litert/../model.json", "/litert/core/../../../etc/passwd",
        "/litert//etc/passwd", "/model.json", "/scores", "/%2e%2e/model.json", "/TRY.JS",
    ],
)  # fmt: skip
def test_what_is_not_on_the_list_is_not_there(server, path):
    # http.client sends the path as it is written; urllib might tidy it.
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 404
    assert json.loads(answer.read()) == {"error": "There is nothing here."}
    connection.close()


@pytest.mark.parametrize("data", [None, bytes(BYTES)])
def test_another_hosts_name_is_refused(server, data):
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1:1"):
        status, _, body = ask(server, "/about.json" if data is None else "/scores", data, Host=host)
        assert status == 403
        assert json.loads(body) == {"error": f"Open this page as {server.url}."}
    assert ask(server, "/about.json", Host=f"localhost:{server.port}")[0] == 200


def test_opened_to_the_network_any_name_is_answered(folder):
    with open_server(folder, host="0.0.0.0") as server:
        assert server.url == f"http://127.0.0.1:{server.port}/"
        assert ask(server, "/about.json", Host=f"laptop.lan:{server.port}")[0] == 200


@pytest.mark.parametrize("length", [0, 1, BYTES - 1, BYTES + 1])
def test_a_body_of_another_length_is_refused(server, length):
    status, _, body = ask(server, "/scores", bytes(length))
    assert status == 400
    assert json.loads(body) == {
        "error": f"Expected {BYTES} bytes, {SIZE} x {SIZE} pixels of red, green and blue. "
        f"Received: a body of {length} bytes."
    }


def test_a_body_without_a_length_is_refused(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(f"POST /scores HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == 400
        assert "a body of no told length" in json.loads(answer.read())["error"]


def test_a_post_elsewhere_is_not_found(server):
    assert ask(server, "/about.json", b"x")[0] == 404


def test_the_scores_are_the_interpreters(server):
    image = patches(1, seed=3)[0]
    status, _, body = ask(server, "/scores", image.tobytes())
    answer = json.loads(body)
    expected = LiteRTModel(server.predictor.path).predict(image[None])
    assert status == 200
    assert answer["milliseconds"] > 0
    assert set(answer["scores"]) == {t.name for t in TASKS}
    for name, values in answer["scores"].items():
        np.testing.assert_array_equal(np.float32(values), expected[name][0])


def test_pictures_sent_at_the_same_time_get_their_own_scores(server):
    images = patches(24, seed=5)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: ask(server, "/scores", i.tobytes()), images))
    expected = LiteRTModel(server.predictor.path).predict(images)
    for name in expected:
        got = [json.loads(body)["scores"][name] for _, _, body in answers]
        np.testing.assert_array_equal(np.float32(got), expected[name])


def test_a_client_that_goes_away_leaves_the_server_well(server, capfd):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(b"POST /scores HTTP/1.1\r\nContent-Length: 999\r\n")
    assert ask(server, "/about.json")[0] == 200
    assert "Traceback" not in "".join(capfd.readouterr())


def test_an_address_that_cannot_be_had_is_told(server, folder):
    for host, port in (("127.0.0.1", server.port), ("127.0.0.1", 65536), ("203.0.113.1", 0)):
        with (
            pytest.raises(InputError, match="Choose another address or port"),
            open_server(folder, host=host, port=port),
        ):
            pass


def test_a_file_without_what_describes_it_is_told(folder, tmp_path):
    shutil.copy(folder / "model_float32.tflite", tmp_path)
    with pytest.raises(InputError, match=r"model\.json"), open_server(tmp_path):
        pass


def test_names_of_users_arrive_as_they_are(folder, tmp_path):
    shutil.copy(folder / "model_float32.tflite", tmp_path)
    odd = [TASKS[0].__class__("zone", ["<b>a</b>", 'q"\n,', "日本"]), *TASKS[1:]]
    write_sidecar(tmp_path, odd, (SIZE, SIZE))
    with open_server(tmp_path) as server:
        about = json.loads(ask(server, "/about.json")[2])
    assert about["tasks"][0]["classes"] == list(odd[0].classes)


def test_the_file_of_a_folder_is_float32_else_the_next(tmp_path):
    for name in ("model_int8.tflite", "model_float16.tflite", "model_float32.tflite"):
        (tmp_path / name).touch()
        assert find_file(tmp_path) == tmp_path / name
    assert find_file(tmp_path / "model_int8.tflite") == tmp_path / "model_int8.tflite"


def test_what_is_no_exported_file_is_told_with_the_way_out(tmp_path):
    with pytest.raises(InputError, match="with nothing"):
        find_file(tmp_path)
    (tmp_path / "model.keras").touch()
    with pytest.raises(InputError, match=r"with model\.keras\. Export it first: kerastl export"):
        find_file(tmp_path)
    with pytest.raises(InputError, match=r"a Keras model\. Export it first: kerastl export"):
        find_file(tmp_path / "model.keras")
    with pytest.raises(InputError, match="which is nothing"):
        find_file(tmp_path / "model.tflite")
    (tmp_path / "model.onnx").touch()
    with pytest.raises(InputError, match="which is a file of another kind"):
        find_file(tmp_path / "model.onnx")


SERVE = """
import sys
from kerastl.deploy.preview.server import serve
serve(sys.argv[1], host=sys.argv[2], port=0, open_browser=False,
      say=lambda line: print(line, flush=True))
print("after", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends Ctrl-C as a signal")
def test_ctrl_c_ends_it_cleanly_and_the_network_is_warned_of(folder, tmp_path):
    # Without npm, so that nothing is fetched.
    environ = {**os.environ, "PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", SERVE, str(folder), "0.0.0.0"]
    with subprocess.Popen(
        command, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        first = [process.stdout.readline() for _ in range(3)]
        url = re.search(r"http://127\.0\.0\.1:\d+/", first[1])[0]
        with urllib.request.urlopen(f"{url}about.json", timeout=30) as answer:
            assert json.load(answer)["runtime"] == "interpreter"
        process.send_signal(signal.SIGINT)
        said, wrong = process.communicate(timeout=60)
    assert "the interpreter here runs the file" in first[0]
    assert "anyone in your network" in first[2]
    assert "only over https or from localhost" in first[2]
    assert said.splitlines() == ["Stopped.", "after"], wrong
    assert process.returncode == 0
    assert "Traceback" not in wrong
