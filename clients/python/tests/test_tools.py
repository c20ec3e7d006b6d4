"""Tools for language models. The packages of LangChain and OpenAI are stood in for by plain objects."""

import asyncio
import json
import sys
import types
import unittest
from typing import Any, Dict
from unittest import mock

from tests.support import Reply, Seller, sandbox

from bursar.langchain import langchain_tools
from bursar.openai_agents import openai_agents_tools
from bursar.tools import MAX_TEXT_CHARACTERS, bursar_tools, call_tool


class Tools(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.bursar = sandbox().grant("5", delegation_depth=1, max_per_payment="2")
        cls.tools = bursar_tools(cls.bursar, max_amount="0.05")

    def seller(self, amount: str = "10000", reply: Reply = Reply()) -> Seller:
        seller = Seller()
        self.addCleanup(seller.stop)
        seller.rule = seller.serving(reply, amount=amount)
        return seller

    def run_tool(self, name: str, **arguments: Any) -> Dict[str, Any]:
        return json.loads(call_tool(self.tools, name, json.dumps(arguments)))

    def test_fetch_pays_and_says_what_it_cost(self) -> None:
        seller = self.seller()
        answer = self.run_tool("fetch_paid_url", url=seller.url, intent=None)
        self.assertEqual((answer["status"], answer["text"]), (200, "served"))
        self.assertEqual((answer["payment"]["amount"], answer["payment"]["replayed"]), ("0.01", False))

    def test_the_developers_limit_holds_whatever_the_model_says(self) -> None:
        seller = self.seller(amount="60000")
        for arguments in ({}, {"max_amount": "1"}):
            answer = self.run_tool("fetch_paid_url", url=seller.url, **arguments)
            self.assertEqual(answer["code"], "max_amount_exceeded")
            self.assertEqual(answer["nextAction"], "choose_cheaper")
        cheap = self.seller(amount="20000")
        answer = self.run_tool("fetch_paid_url", url=cheap.url, max_amount="0.01")
        self.assertEqual(answer["code"], "max_amount_exceeded")
        self.assertEqual(seller.payments + cheap.payments, [])

    def test_a_long_text_is_cut(self) -> None:
        seller = self.seller(reply=Reply(200, {}, b"x" * (MAX_TEXT_CHARACTERS + 1)))
        answer = self.run_tool("fetch_paid_url", url=seller.url)
        self.assertEqual((len(answer["text"]), answer["isCut"]), (MAX_TEXT_CHARACTERS, True))

    def test_quote_budget_and_payments(self) -> None:
        seller = self.seller()
        quote = self.run_tool("quote_payment", url=seller.url)
        self.assertEqual((quote["free"], quote["decision"], quote["amount"]), (False, "allow", "0.01"))
        self.assertEqual(self.run_tool("get_budget")["maxPerPayment"], "2.00")
        self.run_tool("fetch_paid_url", url=seller.url)
        payments = self.run_tool("list_payments")["payments"]
        self.assertEqual(payments[-1]["amount"], "0.01")

    def test_a_childs_token_goes_to_the_program_and_never_to_the_model(self) -> None:
        self.assertNotIn("delegate_budget", [tool.name for tool in self.tools])
        children: list = []
        tools = bursar_tools(self.bursar, on_delegate=children.append)
        text = call_tool(
            tools, "delegate_budget", {"holder": "helper", "budget": "0.5", "ttl_seconds": 60}
        )
        self.assertEqual(json.loads(text)["id"], children[0].budget()["id"])
        self.assertNotIn(children[0].token, text)
        for tool in tools:
            self.assertNotIn("token", json.dumps(tool.as_function()))

    def test_a_raise_is_asked_for(self) -> None:
        child = self.bursar.delegate("asker", "0.10", ttl_seconds=600)
        tools = bursar_tools(child)
        wanted = {"budget": "0.20", "reason": "more pages"}
        answer = json.loads(call_tool(tools, "request_raise", wanted))
        self.assertEqual((answer["status"], answer["budget"]), ("pending", "0.20"))
        self.bursar.approve_raise(answer["id"])
        self.assertEqual(json.loads(call_tool(tools, "get_budget", {}))["budget"], "0.20")
        again = json.loads(call_tool(tools, "request_raise", wanted))
        self.assertEqual(again["code"], "conflict")

    def test_mistakes_of_a_model_are_answers(self) -> None:
        for name, arguments in [
            ("fetch_paid_url", "{}"),
            ("fetch_paid_url", "not json"),
            ("fetch_paid_url", "[1]"),
            ("fetch_paid_url", '{"url": 7}'),
            ("fetch_paid_url", '{"url": "file:///etc/passwd"}'),
            ("fetch_paid_url", '{"url": "http://127.0.0.1:1/", "max_amount": "much"}'),
            ("fetch_paid_url", '{"url": "http://127.0.0.1:1/", "method": "BREW"}'),
            ("get_budget", '{"extra": 1}'),
            ("no_such_tool", "{}"),
        ]:
            answer = json.loads(call_tool(self.tools, name, arguments))
            self.assertEqual(answer["nextAction"], "fix_request", (name, arguments, answer))
        self.assertIn("error", self.run_tool("fetch_paid_url", url="http://127.0.0.1:1/"))

    def test_descriptions_are_short(self) -> None:
        tools = bursar_tools(self.bursar, on_delegate=print)
        self.assertLessEqual(len(tools), 8)
        for tool in tools:
            self.assertLessEqual(len(tool.description.split()), 60)

    def test_langchain_gets_a_structured_tool_each(self) -> None:
        made = types.ModuleType("langchain_core.tools")

        class StructuredTool:
            @staticmethod
            def from_function(func: Any, name: str, description: str, args_schema: Any) -> Any:
                return types.SimpleNamespace(func=func, name=name, args_schema=args_schema)

        made.StructuredTool = StructuredTool
        parent = types.ModuleType("langchain_core")
        with mock.patch.dict(sys.modules, {"langchain_core": parent, "langchain_core.tools": made}):
            adapted = langchain_tools(self.tools)
        self.assertEqual([each.name for each in adapted], [tool.name for tool in self.tools])
        answer = json.loads(adapted[0].func(url=self.seller().url))
        self.assertEqual(answer["text"], "served")

    def test_the_real_langchain_runs_the_tools(self) -> None:
        try:
            from langchain_core.utils.function_calling import convert_to_openai_tool
        except ImportError:
            self.skipTest("langchain-core is not installed")
        tool = langchain_tools(self.tools)[0]
        self.assertEqual(json.loads(tool.invoke({"url": self.seller().url}))["text"], "served")
        schema = convert_to_openai_tool(tool)["function"]["parameters"]
        self.assertEqual(schema["required"], ["url"])

    def test_openai_agents_gets_a_function_tool_each(self) -> None:
        made = types.ModuleType("agents")
        made.FunctionTool = lambda **members: types.SimpleNamespace(**members)
        with mock.patch.dict(sys.modules, {"agents": made}):
            adapted = openai_agents_tools(self.tools)
        arguments = json.dumps({"url": self.seller().url})
        answer = json.loads(asyncio.run(adapted[0].on_invoke_tool(None, arguments)))
        self.assertEqual(answer["text"], "served")

    def test_a_missing_package_is_named(self) -> None:
        with mock.patch.dict(sys.modules, {"agents": None, "langchain_core.tools": None}):
            with self.assertRaisesRegex(ImportError, r"bursar\[openai-agents\]"):
                openai_agents_tools(self.tools)
            with self.assertRaisesRegex(ImportError, r"bursar\[langchain\]"):
                langchain_tools(self.tools)
