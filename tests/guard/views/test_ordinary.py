"""Ordinary answers with amounts, tables, hours and prices are no evidence of anything."""

from __future__ import annotations

import re

import pytest

from guard.evidence import Scanner
from judge.embedded.heads import KINDS
from judge.embedded.ordinary import ordinary_texts

# None of these is made from the lists.
ANSWERS = (
    "您好，客服工作时间为每天9:00-21:00，节假日不休息。",
    "客服热线：400-820-8820，工作时间9:00-18:00。",
    "等额本息：贷款120万元，年利率3.85%，30年，每月还款5,625.67元，总利息825,241.20元。首付30%。",
    "双色球第2026088期开奖结果：红球 03 08 15 21 27 32，蓝球 09。一等奖开出5注。",
    "停车收费标准：首小时10元，之后每小时5元，24小时封顶60元。",
    "布洛芬成人一次0.2-0.4克，每4-6小时一次，24小时不超过4次，胃溃疡患者慎用。",
    "高铁退票：开车前48小时以上收取5%，24-48小时收取10%，24小时以内收取20%。",
    "流量套餐：29元享30GB，100分钟通话，合约期12个月。",
    "本店招聘店员两名，月薪4000-6000元，包吃住，有意者请到店面谈。",
    "IPv4地址192.168.1.1通常是路由器的管理地址，子网掩码为255.255.255.0。",
    "commit cd0246a3b96b5f639967cf34dccca4100805cc94 修复了该问题。",
    "设备 fc8a.9383.0dcc 在线，车架号 LSVAU2180N2183294 已登记。",
    "货币资金：1,204,331.20\n应收账款：88,120.00\n存货：340,118.77\n固定资产：9,871,220.15",
    "项目,期末余额,期初余额\n货币资金,1204331.20,998120.00\n应收账款,88120.00,70233.10",
)


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner.shipped()


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_bank_s_or_a_shop_s_answer_raises_no_alarm(answer: str, scanner: Scanner) -> None:
    """With spaces round its figures and without, behind no disguise either."""
    for text in (answer, re.sub(r"([0-9.,%-]+)", r" \1 ", answer)):
        assert not [found for found in scanner.scan(text) if found.kind in KINDS]


def test_at_most_one_ordinary_text_in_a_hundred_raises_an_alarm(scanner: Scanner) -> None:
    """Of some that the heads were not fitted on."""
    texts = [text for topic in ordinary_texts(seed=1).values() for text in topic[:10]]
    alarms = [text for text in texts if any(one.kind in KINDS for one in scanner.scan(text))]
    assert len(alarms) <= len(texts) // 100


def test_the_same_seed_makes_the_same_texts_and_every_slot_is_filled() -> None:
    """Another seed makes others."""
    made = ordinary_texts()
    assert made == ordinary_texts()
    assert made != ordinary_texts(seed=1)
    assert not [text for topic in made.values() for text in topic if re.search("<[a-z]+>", text)]
