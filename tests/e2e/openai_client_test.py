# SPDX-License-Identifier: Apache-2.0
"""The unmodified openai client against `mhub serve`."""
import json
import tempfile
import unittest

import openai

import harness


class OpenAiClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        model = harness.make_model(cls.directory.name)
        cls.server = harness.Running("serve", model, "--port", "0", "--api-key", "token-abc123", "--served-model-name", "m",
                                     "--dtype", "float32", home=cls.directory.name)
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key="token-abc123", max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.__exit__()
        cls.directory.cleanup()

    def test_models(self):
        self.assertEqual([m.id for m in self.client.models.list().data], ["m"])
        self.assertEqual(self.client.models.retrieve("m").id, "m")

    def test_completion(self):
        answer = self.client.completions.create(model="m", prompt="Once upon a time", max_tokens=8, temperature=0)
        self.assertLessEqual(answer.usage.completion_tokens, 8)
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)

    def test_chat_stream_equals_whole_answer_and_carries_usage(self):
        messages = [{"role": "user", "content": "Hello there"}]
        whole = self.client.chat.completions.create(model="m", messages=messages, max_tokens=16, temperature=0)
        text, usage = "", None
        for chunk in self.client.chat.completions.create(model="m", messages=messages, max_tokens=16, temperature=0,
                                                         stream=True, stream_options={"include_usage": True}):
            for choice in chunk.choices:
                text += choice.delta.content or ""
            usage = chunk.usage or usage
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual(usage.completion_tokens, whole.usage.completion_tokens)

    def test_logprobs(self):
        answer = self.client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], max_tokens=4,
                                                     logprobs=True, top_logprobs=3, temperature=0)
        content = answer.choices[0].logprobs.content
        self.assertEqual(len(content), answer.usage.completion_tokens)
        for position in content:
            self.assertEqual(len(position.top_logprobs), 3)
            self.assertAlmostEqual(position.logprob, position.top_logprobs[0].logprob, places=5)

    def test_seed_repeats(self):
        ask = dict(model="m", prompt="abc", max_tokens=12, temperature=1.0, seed=7)
        first = self.client.completions.create(**ask).choices[0].text
        self.assertEqual(first, self.client.completions.create(**ask).choices[0].text)

    SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 8}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
              "required": ["city", "days"], "additionalProperties": False}

    def test_json_schema(self):
        answer = self.client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}], max_tokens=100, seed=1,
            response_format={"type": "json_schema", "json_schema": {"name": "trip", "strict": True, "schema": self.SCHEMA}})
        trip = json.loads(answer.choices[0].message.content)
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual(list(trip), ["city", "days"])
        self.assertIn(trip["days"], range(1, 10))

    def test_forced_tool_calls(self):
        ask = dict(model="m", messages=[{"role": "user", "content": "Hi"}], max_tokens=200, seed=1,
                   tools=[{"type": "function", "function": {"name": "plan", "parameters": self.SCHEMA}}])
        named = self.client.chat.completions.create(tool_choice={"type": "function", "function": {"name": "plan"}}, **ask)
        self.assertEqual(named.choices[0].finish_reason, "stop")
        self.assertEqual(list(json.loads(named.choices[0].message.tool_calls[0].function.arguments)), ["city", "days"])
        arguments, reason = "", None
        for chunk in self.client.chat.completions.create(tool_choice="required", parallel_tool_calls=False, stream=True, **ask):
            for choice in chunk.choices:
                for call in choice.delta.tool_calls or []:
                    arguments += call.function.arguments or ""
                reason = choice.finish_reason or reason
        self.assertEqual(reason, "tool_calls")
        self.assertEqual(list(json.loads(arguments)), ["city", "days"])

    def test_a_form_that_cannot_be_kept_is_a_bad_request(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.completions.create(model="m", prompt="x", extra_body={"structured_outputs": {"regex": "a(?=b)"}})
        self.assertIn("look-around", str(caught.exception))

    def test_wrong_key_is_an_authentication_error(self):
        with openai.OpenAI(base_url=self.server.url + "/v1", api_key="wrong", max_retries=0) as client:
            with self.assertRaises(openai.AuthenticationError):
                client.models.list()

    def test_unknown_model_is_a_not_found_error(self):
        with self.assertRaises(openai.NotFoundError):
            self.client.completions.create(model="other", prompt="x")

    def test_context_overflow_is_a_bad_request(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.completions.create(model="m", prompt=[5] * 200_000, max_tokens=1)
        self.assertIn("maximum context length is", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
