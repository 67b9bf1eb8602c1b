"""A tokenizer trained in memory and a random model of a few thousand weights: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForSequenceClassification,
)

TEMPLATE = """
{%- if tools %}<|im_start|>system
Tools: {% for tool in tools %}{{ tool | tojson }}{% endfor %}<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.reasoning_content is defined and message.reasoning_content %}<think>{{
message.reasoning_content }}</think>{% endif %} {%- if message.role == 'assistant' %}{% generation %}{{
message.content }}{% if message.tool_calls %} {%- for call in message.tool_calls %}<tool_call>{"name": "{{
call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>{% endfor %}{% endif
%}<|im_end|>{% endgeneration %} {% else %}{{ message.content }}<|im_end|> {% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""A chat template in the manner of Qwen's: tools, calls, reasoning, generation marks."""


def tokenizer(texts: Iterable[str], directory: Path) -> Any:
    """A byte-level BPE of 400 tokens with the template above, saved in ``directory``."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<|pad|>", eos_token="<|im_end|>", chat_template=TEMPLATE
    )
    fast.save_pretrained(directory)
    bpe.save(str(directory / "bpe.json"))
    return fast


def _configuration(fast: Any) -> Any:
    return Qwen2Config(
        vocab_size=len(fast),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        pad_token_id=fast.pad_token_id,
        eos_token_id=fast.eos_token_id,
        bos_token_id=None,
        tie_word_embeddings=True,
    )


def language_model(fast: Any, directory: Path) -> Any:
    """A random model that writes, saved so that trainers can load their reference from the same place."""
    Qwen2ForCausalLM(_configuration(fast)).save_pretrained(directory)
    return Qwen2ForCausalLM.from_pretrained(directory)


def reward_model(fast: Any) -> Any:
    """A random model that gives one number."""
    configuration = _configuration(fast)
    configuration.num_labels = 1
    return Qwen2ForSequenceClassification(configuration)
