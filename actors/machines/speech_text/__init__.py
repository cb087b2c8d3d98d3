"""From the model's text to what a voice is given, as text streams in.

`SpeechText` is the whole stage: `TextFilter` cleans and verbalises, `Chunker` cuts into segments,
and every word of a segment knows the span of the model's text that it says. Pure: time is an
argument, and every result depends on the text alone, never on how it was split into pushes.
"""

from actors.machines.speech_text.chunker import Chunker as Chunker
from actors.machines.speech_text.chunker import ChunkerConfig as ChunkerConfig
from actors.machines.speech_text.chunker import RawChunker as RawChunker
from actors.machines.speech_text.filter_config import FilterConfig as FilterConfig
from actors.machines.speech_text.hyphenation import hyphenate as hyphenate
from actors.machines.speech_text.indic import transliterate as transliterate
from actors.machines.speech_text.languages import detect_language as detect_language
from actors.machines.speech_text.languages import language_code as language_code
from actors.machines.speech_text.plain_segmenter import PlainSegmenter as PlainSegmenter
from actors.machines.speech_text.speech_text import Segment as Segment
from actors.machines.speech_text.speech_text import SpeechText as SpeechText
from actors.machines.speech_text.speech_text import SpeechTextConfig as SpeechTextConfig
from actors.machines.speech_text.speech_text import SpokenWord as SpokenWord
from actors.machines.speech_text.text_filter import TextFilter as TextFilter
from actors.machines.speech_text.word_times import estimate_word_times as estimate_word_times
