"""The endpoints, asked by OpenAI's own client."""

from __future__ import annotations

import asyncio
import gc

import pytest

from create_llm_serve.worker import Job

openai = pytest.importorskip("openai", reason="openai is not installed")


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.url, api_key="unused", max_retries=0) as asking:
        yield asking


def test_models(client):
    assert [model.id for model in client.models.list()] == ["v1"]
    assert client.models.retrieve("v1").owned_by == "create-llm"
    with pytest.raises(openai.NotFoundError, match="only 'v1'") as raised:
        client.models.retrieve("v2")
    assert raised.value.code == "model_not_found"


def test_a_completion(client):
    made = client.completions.create(model="v1", prompt="abc")
    assert [choice.text for choice in made.choices] == ["defgh"]
    assert made.choices[0].finish_reason == "length"
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (3, 5)
    assert made.usage.total_tokens == 8
    assert (made.object, made.model) == ("text_completion", "v1")


def test_several_prompts_and_choices(client):
    made = client.completions.create(model="v1", prompt=["a", "m"], n=2, max_tokens=2)
    assert [choice.text for choice in made.choices] == ["bc", "bc", "no", "no"]
    assert [choice.index for choice in made.choices] == [0, 1, 2, 3]
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (2, 8)


def test_stop_and_echo(client):
    made = client.completions.create(model="v1", prompt="abc", stop=["gh", "x"], echo=True)
    assert (made.choices[0].text, made.choices[0].finish_reason) == ("abcdef", "stop")


def test_a_seed_gives_each_choice_a_text_of_its_own_again(client):
    def texts(seed):
        made = client.completions.create(
            model="v1",
            prompt="abc",
            n=3,
            seed=seed,
            temperature=40,
            top_p=1,
            extra_body={"top_k": 0},
        )
        return [choice.text for choice in made.choices]

    first = texts(5)
    assert first == texts(5)
    assert len(set(first)) == 3
    assert texts(-1) == texts(-1)


def test_a_chat(client):
    messages = [
        {"role": "developer", "content": "abc"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "de"}, {"type": "text", "text": "f"}],
        },
    ]
    made = client.chat.completions.create(model="v1", messages=messages, max_completion_tokens=3)
    said = made.choices[0].message
    assert (said.role, said.content) == ("assistant", "cde")  # after the script's "Model:"
    assert made.object == "chat.completion"
    # As clients do: the answer goes into the next request, with all keys that it has.
    messages += [said.model_dump(), {"role": "user", "content": "c", "name": "ann"}]
    assert client.chat.completions.create(model="v1", messages=messages[2:]).choices


def test_streams(client):
    made = client.completions.create(model="v1", prompt=["abc", "x"], stream=True, echo=True)
    texts, reasons = ["", ""], {}
    for event in made:
        for choice in event.choices:
            texts[choice.index] += choice.text
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
    assert texts == ["abcdefgh", "xyzabc"]
    assert reasons == {0: "length", 1: "length"}


def test_a_streamed_chat_with_its_usage(client):
    messages = [{"role": "user", "content": "abc"}]
    made = client.chat.completions.create(
        model="v1", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    first, *between, last_choice, usage = list(made)
    assert first.choices[0].delta.role == "assistant"
    assert "".join(event.choices[0].delta.content for event in between) == "cdefg"
    assert all(event.usage is None for event in (first, *between, last_choice))
    assert last_choice.choices[0].finish_reason == "length"
    assert usage.choices == []
    assert usage.usage.completion_tokens == 5


@pytest.mark.parametrize(
    ("asked", "param", "told"),
    [
        ({"temperature": -1}, "temperature", "0, or a number"),
        ({"max_tokens": 0}, "max_tokens", "at least 1"),
        ({"top_p": 2}, "top_p", "at most 1"),
        ({"stop": [""]}, "stop", "stop"),
        ({"stop": "x" * 200}, "stop", "128 characters at most"),
        ({"n": 129}, "n", "128 texts at most"),
        ({"prompt": [[1, 2]]}, "prompt[0]", "must be text"),
        ({"prompt": []}, "prompt", "must not be empty"),
        ({"logprobs": 2}, "logprobs", "'logprobs' is not supported here"),
        ({"frequency_penalty": 0.5}, "frequency_penalty", "is not supported here; leave it out"),
        ({"extra_body": {"temprature": 1}}, "temprature", "did you mean 'temperature'?"),
        ({"extra_body": {"seed": "1"}}, "seed", "a whole number"),
    ],
)
def test_what_cannot_be_answered(client, asked, param, told):
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(**{"model": "v1", "prompt": "abc", **asked})
    assert raised.value.param.startswith(param)
    assert told in raised.value.message


def test_what_is_wrong_in_a_message_is_named(client):
    picture = {"type": "image_url", "image_url": {"url": "a"}}
    with pytest.raises(openai.BadRequestError, match="must be 'text'") as raised:
        client.chat.completions.create(
            model="v1", messages=[{"role": "user", "content": [picture]}]
        )
    assert raised.value.param == "messages[0].content[0].type"


@pytest.mark.parametrize(
    "asked",
    [
        {"messages": []},
        {"messages": [{"role": "usr", "content": "a"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "a"}]}]},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},
    ],
)
def test_chats_that_cannot_be_answered(client, asked):
    given = {"model": "v1", "messages": [{"role": "user", "content": "a"}], **asked}
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**given)


def test_what_changes_nothing_is_taken(client):
    nothing = {
        "user": "ann",
        "frequency_penalty": 0,
        "logit_bias": {},
        "suffix": None,
        "best_of": 1,
    }
    assert client.completions.create(model="v1", prompt="a", **nothing).choices[0].text == "bcdef"


def test_a_prompt_longer_than_the_context(client):
    with pytest.raises(openai.BadRequestError, match="65 tokens, and the model reads 64") as raised:
        client.completions.create(model="v1", prompt="a" * 65)
    assert raised.value.code == "context_length_exceeded"
    for messages in (
        [{"role": "user", "content": "a" * 99}],
        [{"role": "user", "content": "a"}] * 65,
    ):
        with pytest.raises(openai.BadRequestError, match="the model reads 64 tokens") as raised:
            client.chat.completions.create(model="v1", messages=messages)
        assert raised.value.code == "context_length_exceeded"


def test_another_model(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.completions.create(model="gpt-4", prompt="a")
    assert raised.value.code == "model_not_found"


def test_a_text_that_outgrows_the_context_goes_on(client, server):
    made = client.completions.create(model="v1", prompt="abc", max_tokens=100)
    assert made.usage.completion_tokens == 100
    assert made.choices[0].text.startswith("defghijklmnopqrstuvwxyzabc")
    assert len(server.notices) == 1


def test_sixty_four_clients(server):
    async def all_of_them():
        async with openai.AsyncOpenAI(
            base_url=server.url, api_key="unused", max_retries=0
        ) as asking:
            return await asyncio.gather(*(client_number(asking, i) for i in range(64)))

    async def client_number(asking, number):
        first = "abcdefghijklmnop"[number % 16]
        asked = {"model": "v1", "prompt": first, "max_tokens": 3 + number % 5}
        whole = await asking.completions.create(**asked)
        stream = await asking.completions.create(**asked, stream=True)
        pieces = [event.choices[0].text async for event in stream]
        return first, 3 + number % 5, whole.choices[0].text, "".join(pieces)

    for first, size, whole, streamed in asyncio.run(all_of_them()):
        start = ord(first) - ord("a") + 1
        assert whole == streamed == "abcdefghijklmnopqrstuvwxyz"[start : start + size]
    server.until(lambda: server.service.worker.running == 0)
    gc.collect()
    assert not [kept for kept in gc.get_objects() if type(kept) is Job]


def test_an_error_in_the_middle_of_a_stream(start):
    served = start()
    with openai.OpenAI(base_url=served.url, api_key="unused", max_retries=0) as asking:
        stream = asking.completions.create(model="v1", prompt="a", max_tokens=60, stream=True)
        next(stream)
        served.module.broken = True
        with pytest.raises(openai.APIError, match="the server failed at this"):
            list(stream)
        served.module.broken = False
        assert asking.completions.create(model="v1", prompt="a").choices[0].text == "bcdef"


def test_the_key(start):
    served = start(key="right")
    for key in ("wrong", "right1", "righ"):
        with (
            openai.OpenAI(base_url=served.url, api_key=key, max_retries=0) as asking,
            pytest.raises(openai.AuthenticationError) as raised,
        ):
            asking.completions.create(model="v1", prompt="a")
        assert raised.value.code == "invalid_api_key"
    with openai.OpenAI(base_url=served.url, api_key="right", max_retries=0) as asking:
        assert asking.completions.create(model="v1", prompt="a").choices
