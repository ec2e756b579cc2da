"""Token ids: numbers in, the same numbers out, as any NumPy reads them."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from latexify.shards.format.sample import decode_ids, encode_ids

any_ids = npst.arrays(np.int32, st.integers(0, 300))


def by_numpy(array: np.ndarray, *, version: tuple[int, int] = (1, 0)) -> bytes:
    """An array as `numpy.save` writes it."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


@settings(max_examples=100, deadline=None)
@given(token_ids=any_ids)
def test_ids_return_and_numpy_reads_them(token_ids: np.ndarray) -> None:
    """The model would learn another label; users load the shards with NumPy."""
    data = encode_ids(token_ids)
    assert data == by_numpy(token_ids)
    found = decode_ids(data, num_tokens=len(token_ids))
    assert found.dtype == np.int32
    assert np.array_equal(found, token_ids)
    found += 1  # they are the caller's own
    assert np.array_equal(np.load(io.BytesIO(data)), token_ids)


def test_headers_of_older_numpy_are_read() -> None:
    """Shards outlive the NumPy that wrote them; its padding has changed before."""
    token_ids = np.arange(5, dtype=np.int32)
    text = b"{'descr': '<i4', 'fortran_order': False, 'shape': (5,), }"
    data = b"\x93NUMPY\x01\x00" + (70).to_bytes(2, "little") + text.ljust(69) + b"\n" + token_ids.tobytes()
    assert data[:30] != encode_ids(token_ids)[:30]
    assert decode_ids(data, num_tokens=5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "other",
    [np.arange(4), np.zeros((2, 2), np.int32), np.zeros(3, np.int32), np.zeros(4, np.float32), np.array(["a"] * 4)],
)
def test_other_arrays_are_refused(other: np.ndarray) -> None:
    """A label of another length or kind than the index says belongs to another sample."""
    with pytest.raises(ValueError, match="token ids"):
        decode_ids(by_numpy(other), num_tokens=4)
    with pytest.raises(ValueError, match=r"1\.0"):
        decode_ids(by_numpy(np.zeros(4, np.int32), version=(2, 0)), num_tokens=4)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), num_tokens=st.integers(0, 40))
def test_damage_is_an_error_or_in_the_numbers(data: st.DataObject, num_tokens: int) -> None:
    """One bad byte must end in a message that names the sample, not in a crash of NumPy's parser."""
    damaged = bytearray(encode_ids(np.arange(num_tokens, dtype=np.int32)))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))]
    try:
        found = decode_ids(bytes(damaged), num_tokens=num_tokens)
    except ValueError:
        return
    assert found.dtype == np.int32
    assert found.shape == (num_tokens,)
