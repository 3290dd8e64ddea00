"""Whatever a server answers: the text comes whole, or the command ends with words of its own."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plugins.web_plugin.tests.fetching import part

from create_llm.errors import CreateLLMError
from create_llm_web.addresses import Address
from create_llm_web.content import file_name, media_type
from create_llm_web.download import Patience

TEXT = b"".join(b"line %03d of a text\n" % number for number in range(100))
HASTE = Patience(attempts=2, first=0.0, longest=0.0, asked=0.01)
CODES = [200, 200, 204, 206, 206, 301, 302, 304, 307, 400, 401, 404, 416, 418, 429, 500, 503, 599]

anything = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20)
numbers = st.sampled_from(["-1", "0", "1", "1999", "9" * 30, "1e3", " 5 ", "*", ""])
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.one_of(
            anything, st.sampled_from(["text/html", "image/png", ";;", "a/b"])
        ),
        "Content-Range": st.one_of(
            anything,
            st.tuples(numbers, numbers, numbers).map(lambda t: "bytes {}-{}/{}".format(*t)),
            st.sampled_from(["bytes 0-1999/2000", "bytes 0-99/2000", "bytes 100-1999/2000"]),
        ),
        "Content-Encoding": st.sampled_from(["gzip", "br", "identity", "nonsense"]),
        "ETag": st.one_of(anything, st.sampled_from(['"v1"', 'W/"v1"', ""])),
        "Last-Modified": anything,
        "Retry-After": st.one_of(anything, numbers, st.just("Wed, 21 Oct 2015 07:28:00 GMT")),
        "Location": st.one_of(
            anything,
            st.sampled_from(["/a.txt", "/b.txt", "//", "http://[", "ftp://x/", "http://u:p@x/"]),
        ),
        "Transfer-Encoding": st.sampled_from(["identity", "chunked"]),
    },
)
bodies = st.one_of(st.just(TEXT), st.binary(max_size=50), st.just(TEXT[:777]))


def answering(code, given_headers, body, length):
    def answer(request):
        request.send_response(code)
        for name, value in given_headers.items():
            request.send_header(name, value)
        if length is not None:
            request.send_header("Content-Length", str(max(len(body) + length, 0)))
        request.end_headers()
        request.wfile.write(body)
        request.close_connection = True

    return answer


answers = st.builds(
    answering, st.sampled_from(CODES), headers, bodies, st.sampled_from([None, 0, 0, -5, 5])
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(answers, min_size=1, max_size=4), st.lists(st.integers(0, 1999), max_size=2))
def test_whatever_a_server_answers(site, cache, first, drops):
    page = site.put("/a.txt", TEXT, drops=drops)
    page.first = list(first)
    hasty = replace(cache, patience=HASTE, folder=cache.folder / str(len(site.seen)))
    address = Address.parse(site.url("/a.txt"))
    for _ in range(len(first) + 1):
        try:
            file = hasty.file(address)
        except CreateLLMError as error:
            told = error
            assert_told(told)
        else:
            assert file.is_file()
            assert not part(hasty, site.url("/a.txt")).exists()
            return


def assert_told(error):
    assert error.what
    assert error.exit_code in (65, 69, 77)


@given(st.text(max_size=40), st.text(max_size=30), st.binary(max_size=20))
def test_a_file_is_called_by_a_name_that_is_safe_anywhere(path, kind, head):
    name = file_name(f"http://example.org/{path}", media_type(kind), head)
    assert name == name.encode("ascii").decode()
    assert not {"/", "\\", ":", "\0"} & set(name)
    assert not name.startswith((".", "-"))
    assert 4 < len(name) < 100
