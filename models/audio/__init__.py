"""Sound as values: frames, codecs, resampling, mixing, gain, levels. Nothing here waits."""

from models.audio.frames import FRAME_SECONDS as FRAME_SECONDS
from models.audio.frames import AudioFormat as AudioFormat
from models.audio.frames import Encoding as Encoding
from models.audio.frames import Frame as Frame
