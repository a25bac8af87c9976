/* Passes over the characters of a text and their pairs that Python is slow at. The modules heads
 * and spans of judge.embedded, and pairs and signs of guard.views, say what each gives, and hold
 * the same in Python. All sums are of whole numbers, so that both give the same to the last bit.
 * Nothing is kept between two calls. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { HEADS = 5, BUCKETS = 1 << 16, ROW = 8, IDF = HEADS, NUMBERS = 4 * HEADS, FEW = 512 };

/* No bucket counts twice, so that no sum is larger than BUCKETS * 255 * 255, which is 32 bits. */
typedef struct {
    const int8_t *rows; /* (BUCKETS, ROW): each head's weight, then the bucket's idf */
    uint32_t seen[BUCKETS / 32];
    uint16_t first[FEW]; /* the first buckets that were seen */
    uint32_t count;      /* of all that were */
    int32_t sum[HEADS];
    uint32_t square;
} Sums;

static void
clear(Sums *sums)
{
    if (sums->count > FEW)
        memset(sums->seen, 0, sizeof sums->seen);
    else
        for (uint32_t i = 0; i < sums->count; i++)
            sums->seen[sums->first[i] >> 5] = 0;
    memset(sums->sum, 0, sizeof sums->sum);
    sums->count = sums->square = 0;
}

static void
add(Sums *sums, uint32_t hash)
{
    uint32_t bucket = hash >> 16, bit = UINT32_C(1) << (bucket & 31);
    if (sums->seen[bucket >> 5] & bit)
        return;
    sums->seen[bucket >> 5] |= bit;
    if (sums->count < FEW)
        sums->first[sums->count] = (uint16_t)bucket;
    sums->count++;
    const int8_t *row = sums->rows + (size_t)bucket * ROW;
    int32_t idf = (uint8_t)row[IDF];
    for (int head = 0; head < HEADS; head++)
        sums->sum[head] += row[head] * idf;
    sums->square += (uint32_t)(idf * idf);
}

/* One character behind the one whose state is `before`; gives its own state. */
static uint32_t
next(Sums *sums, uint32_t before, Py_UCS4 character)
{
    uint32_t code = character - '0' < 10u ? '0' : character == '\n' ? ' ' : character;
    uint32_t pair = before * UINT32_C(2246822519) + code * UINT32_C(3266489917);
    add(sums, (pair ^ pair >> 13) * UINT32_C(2654435761));
    uint32_t state = code * UINT32_C(2654435761);
    state ^= state >> 15;
    add(sums, state * UINT32_C(3266489917));
    return state;
}

static void
read_span(Sums *sums, int kind, const void *text, Py_ssize_t start, Py_ssize_t end)
{
    clear(sums);
    uint32_t state = '^' * UINT32_C(2654435761);
    state ^= state >> 15;
    add(sums, state * UINT32_C(3266489917));
    for (Py_ssize_t at = start; at < end; at++)
        state = next(sums, state, PyUnicode_READ(kind, text, at));
    next(sums, state, '$');
}

/* Logits from sums; whether one is at `least` or above once its cut and margin are taken off. */
static int
judge(const Sums *sums, const double *numbers, int piece, double least, double *logits)
{
    const double *scale = numbers, *bias = scale + HEADS, *cut = bias + HEADS;
    const double *margin = cut + HEADS;
    double norm = sums->square ? sqrt((double)sums->square) : 1.0;
    int reaches = 0;
    for (int head = 0; head < HEADS; head++) {
        volatile double value = (double)sums->sum[head] / norm; /* volatile: no fused steps */
        value = value * scale[head];
        value = value + bias[head];
        logits[head] = value;
        reaches |= value - cut[head] - (piece ? margin[head] : 0.0) >= least;
    }
    return reaches;
}

static PyObject *
found(Py_ssize_t number, const double *logits)
{
    PyObject *values = PyTuple_New(HEADS);
    for (int head = 0; values != NULL && head < HEADS; head++) {
        PyObject *value = PyFloat_FromDouble(logits[head]);
        if (value == NULL)
            Py_CLEAR(values);
        else
            PyTuple_SET_ITEM(values, head, value);
    }
    return values == NULL ? NULL : Py_BuildValue("nN", number, values);
}

/* Whether a span was read: (start, end, piece) within the text. */
static int
span_of(PyObject *given, Py_ssize_t length, Py_ssize_t *start, Py_ssize_t *end, int *piece)
{
    if (!PyTuple_Check(given) || PyTuple_GET_SIZE(given) != 3) {
        PyErr_SetString(PyExc_TypeError, "a span is a tuple of three");
        return 0;
    }
    *start = PyLong_AsSsize_t(PyTuple_GET_ITEM(given, 0));
    if (*start == -1 && PyErr_Occurred())
        return 0;
    *end = PyLong_AsSsize_t(PyTuple_GET_ITEM(given, 1));
    if (*end == -1 && PyErr_Occurred())
        return 0;
    *piece = PyObject_IsTrue(PyTuple_GET_ITEM(given, 2));
    if (*piece < 0)
        return 0;
    if (*start < 0 || *start > *end || *end > length) {
        PyErr_SetString(PyExc_ValueError, "a span lies outside the text");
        return 0;
    }
    return 1;
}

static PyObject *
reaching_in(PyObject *text, PyObject *spans, const int8_t *rows, const double *numbers,
            double least)
{
    PyObject *out = PyList_New(0);
    Sums sums = {.rows = rows};
    double logits[HEADS];
    for (Py_ssize_t i = 0; out != NULL && i < PyList_GET_SIZE(spans); i++) {
        Py_ssize_t start, end;
        int piece;
        if (!span_of(PyList_GET_ITEM(spans, i), PyUnicode_GET_LENGTH(text), &start, &end, &piece)) {
            Py_CLEAR(out);
            break;
        }
        read_span(&sums, PyUnicode_KIND(text), PyUnicode_DATA(text), start, end);
        if (!judge(&sums, numbers, piece, least, logits))
            continue;
        PyObject *one = found(i, logits);
        if (one == NULL || PyList_Append(out, one) < 0)
            Py_CLEAR(out);
        Py_XDECREF(one);
    }
    return out;
}

static PyObject *
reaching(PyObject *module, PyObject *args)
{
    PyObject *text, *spans, *out = NULL;
    Py_buffer rows, numbers;
    double least;
    (void)module;
    if (!PyArg_ParseTuple(args, "UO!y*y*d", &text, &PyList_Type, &spans, &rows, &numbers, &least))
        return NULL;
    if (rows.len != (Py_ssize_t)BUCKETS * ROW
        || numbers.len != NUMBERS * (Py_ssize_t)sizeof(double))
        PyErr_SetString(PyExc_ValueError, "the heads have another size");
    else
        out = reaching_in(text, spans, rows.buf, numbers.buf, least);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&numbers);
    return out;
}

/* A set of pairs: a bit for each of a power of two of hashes, the first in a byte's highest bit. */
typedef struct {
    const uint8_t *bits;
    int shift;
} Set;

static int
read_set(const Py_buffer *given, Set *set)
{
    int width = 3;
    while (width < 32 && (Py_ssize_t)(UINT64_C(1) << width) < given->len * 8)
        width++;
    if (given->len * 8 != (Py_ssize_t)(UINT64_C(1) << width)) {
        PyErr_SetString(PyExc_ValueError, "a set has a power of two of bits");
        return 0;
    }
    set->bits = given->buf;
    set->shift = 32 - width;
    return 1;
}

static int
holds(Set set, Py_UCS4 first, Py_UCS4 second)
{
    uint32_t hash = first * UINT32_C(2654435761) ^ second * UINT32_C(2246822519);
    uint32_t place = hash >> set.shift;
    return set.bits[place >> 3] >> (7 - (place & 7)) & 1;
}

static int
append_number(PyObject *list, Py_ssize_t number)
{
    PyObject *value = PyLong_FromSsize_t(number);
    int status = value == NULL ? -1 : PyList_Append(list, value);
    Py_XDECREF(value);
    return status;
}

static PyObject *
places(PyObject *module, PyObject *args)
{
    PyObject *text, *out = NULL;
    Py_buffer given;
    Set set;
    (void)module;
    if (!PyArg_ParseTuple(args, "Uy*", &text, &given))
        return NULL;
    if (read_set(&given, &set))
        out = PyList_New(0);
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    for (Py_ssize_t at = 0; out != NULL && at + 1 < PyUnicode_GET_LENGTH(text); at++)
        if (holds(set, PyUnicode_READ(kind, data, at), PyUnicode_READ(kind, data, at + 1))
            && append_number(out, at) < 0)
            Py_CLEAR(out);
    PyBuffer_Release(&given);
    return out;
}

static int
is_chinese(Py_UCS4 character)
{
    return character - 0x3400 < 0xA000 - 0x3400;
}

/* Whether enough of a span's Chinese pairs are strange to a set. */
static int
is_strange(PyObject *text, Set usual, Py_ssize_t start, Py_ssize_t end, int least, double share)
{
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t pairs = 0, strange = 0;
    for (Py_ssize_t at = start; at + 1 < end; at++) {
        Py_UCS4 first = PyUnicode_READ(kind, data, at);
        Py_UCS4 second = PyUnicode_READ(kind, data, at + 1);
        if (is_chinese(first) && is_chinese(second)) {
            pairs++;
            strange += !holds(usual, first, second);
        }
    }
    return strange >= least && (double)strange >= share * (double)pairs;
}

static PyObject *
strange(PyObject *module, PyObject *args)
{
    PyObject *text, *spans, *out = NULL;
    Py_buffer given;
    Set usual;
    int least;
    double share, piece_share;
    (void)module;
    if (!PyArg_ParseTuple(args, "UO!y*idd", &text, &PyList_Type, &spans, &given, &least, &share,
                          &piece_share))
        return NULL;
    if (read_set(&given, &usual))
        out = PyList_New(0);
    for (Py_ssize_t i = 0; out != NULL && i < PyList_GET_SIZE(spans); i++) {
        Py_ssize_t start, end;
        int piece;
        PyObject *span = PyList_GET_ITEM(spans, i);
        if (!span_of(span, PyUnicode_GET_LENGTH(text), &start, &end, &piece)
            || (is_strange(text, usual, start, end, least, piece ? piece_share : share)
                && append_number(out, i) < 0))
            Py_CLEAR(out);
    }
    PyBuffer_Release(&given);
    return out;
}

static PyObject *
alternating(PyObject *module, PyObject *text)
{
    (void)module;
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "a text is a str");
        return NULL;
    }
    PyObject *out = PyList_New(0);
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t length = PyUnicode_GET_LENGTH(text), run[2] = {0, 0}; /* at even and odd places */
    for (Py_ssize_t at = 2; out != NULL && at < length; at++) {
        int same = PyUnicode_READ(kind, data, at) == PyUnicode_READ(kind, data, at - 2);
        run[at & 1] = same ? run[at & 1] + 1 : 0;
        if (run[at & 1] >= 4 && append_number(out, at - 8) < 0)
            Py_CLEAR(out);
    }
    return out;
}

/* The classes of characters, and the signs in a text: see guard.views.signs. */
enum { IS_MASKED = 1, IS_BASE64 = 16, IS_DIGIT = 32, IS_NUMERAL = 64, IS_MARK = 128 };
enum { PLAIN_CLASSES = 1 | 2 | 4 | 8, BASE64 = 16, HEX = 32, COUNTED = 64, NUMERALS = 128 };
enum { PARTED = 256, LINES = 512, TAG = 1024, ALTERNATES = 2048 };
enum { LETTERS = 16, COUNTERS = 5, DIGITS = 11, ALTERNATIONS = 4 };

static int
class_of(const uint8_t *classes, Py_UCS4 character)
{
    if (character < 0x10000)
        return classes[character];
    return character >> 12 == 0x1f ? IS_MARK : IS_MARK | IS_MASKED; /* emoji are no rare letters */
}

static int
is_part(Py_UCS4 character, int class)
{
    return is_chinese(character) && !(class & IS_MARK);
}

static int
signs_in(int kind, const void *text, Py_ssize_t length, const uint8_t *classes)
{
    int found = 0, letters = 0, digits = 0, numerals = 0;
    int parts = -1; /* Chinese characters since a mark; -1 where others stand there */
    int runs[2] = {0, 0}; /* of a character at even and at odd places */
    Py_UCS4 before = 0, second = 0;
    for (Py_ssize_t at = 0; at < length; at++) {
        Py_UCS4 character = PyUnicode_READ(kind, text, at);
        int class = class_of(classes, character);
        found |= class & PLAIN_CLASSES;
        letters = class & IS_BASE64 ? letters + 1 : 0;
        found |= letters == LETTERS ? BASE64 : 0;
        digits += (class & IS_DIGIT) != 0;
        numerals += (class & IS_NUMERAL) != 0;
        if (class & IS_MARK) {
            found |= parts == 1 || parts == 2 ? PARTED : 0;
            parts = 0;
        } else if (!is_part(character, class))
            parts = -1;
        else if (parts >= 0 && parts < 3)
            parts++;
        found |= character == '\n' ? LINES : character == '<' ? TAG : 0;
        if (character - '3' < 7u && (before | 0x20) == 'e')
            found |= HEX;
        runs[at & 1] = at > 1 && character == second ? runs[at & 1] + 1 : 0;
        found |= runs[at & 1] == ALTERNATIONS ? ALTERNATES : 0;
        second = before;
        before = character;
    }
    return found | (digits >= COUNTERS ? COUNTED : 0) | (numerals >= DIGITS ? NUMERALS : 0);
}

static PyObject *
signs(PyObject *module, PyObject *args)
{
    PyObject *text;
    Py_buffer classes;
    int found = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "Uy*", &text, &classes))
        return NULL;
    int fits = classes.len == 0x10000;
    if (fits)
        found = signs_in(PyUnicode_KIND(text), PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text),
                         classes.buf);
    else
        PyErr_SetString(PyExc_ValueError, "a class for each of 65,536 characters");
    PyBuffer_Release(&classes);
    return fits ? PyLong_FromLong(found) : NULL;
}

/* What `pieces` gives, and where: see judge.embedded.spans for what the numbers mean. */
typedef struct {
    PyObject *text, *out;
    Py_ssize_t least, most;
} Pieces;

static int
is_end(Py_UCS4 character)
{
    return character == 0x3002 || character == '!' || character == '?' || character == ';'
           || character == '\n';
}

static int
is_comma(Py_UCS4 character)
{
    return character == ',' || character == 0x3001 || character == ':';
}

/* From `at` on the next run of characters that none of the marks parts; whether there is one. */
static int
run_in(const Pieces *pieces, int (*parts)(Py_UCS4), Py_ssize_t end, Py_ssize_t at, Py_ssize_t *run)
{
    int kind = PyUnicode_KIND(pieces->text);
    const void *data = PyUnicode_DATA(pieces->text);
    while (at < end && parts(PyUnicode_READ(kind, data, at)))
        at++;
    run[0] = at;
    while (at < end && !parts(PyUnicode_READ(kind, data, at)))
        at++;
    run[1] = at;
    return run[0] < run[1];
}

/* 0, or -1 with an error set. */
static int
append_piece(Pieces *pieces, Py_ssize_t start, Py_ssize_t end)
{
    PyObject *piece = Py_BuildValue("nnO", start, end, Py_True);
    int status = piece == NULL ? -1 : PyList_Append(pieces->out, piece);
    Py_XDECREF(piece);
    return status;
}

static int
append_if_fit(Pieces *pieces, Py_ssize_t start, Py_ssize_t end)
{
    int fits = pieces->least <= end - start && end - start <= pieces->most;
    return fits ? append_piece(pieces, start, end) : 0;
}

/* A sentence and, where they are not all of it or it is too long, each two of its clauses. */
static int
append_sentence(Pieces *pieces, Py_ssize_t start, Py_ssize_t end)
{
    Py_ssize_t first[2], second[2], third[2];
    if (append_if_fit(pieces, start, end) < 0)
        return -1;
    if (!run_in(pieces, is_comma, end, start, first)
        || !run_in(pieces, is_comma, end, first[1], second))
        return 0;
    if (end - start <= pieces->most && !run_in(pieces, is_comma, end, second[1], third))
        return 0;
    do {
        if (append_if_fit(pieces, first[0], second[1]) < 0)
            return -1;
        memcpy(first, second, sizeof first);
    } while (run_in(pieces, is_comma, end, first[1], second));
    return 0;
}

static int
append_all(Pieces *pieces, Py_ssize_t width, Py_ssize_t step)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(pieces->text), run[2] = {0, 0};
    while (run_in(pieces, is_end, length, run[1], run))
        if (append_sentence(pieces, run[0], run[1]) < 0)
            return -1;
    if (length <= width)
        return 0;
    for (Py_ssize_t at = 0; at < length - width; at += step)
        if (append_piece(pieces, at, at + width) < 0)
            return -1;
    return append_piece(pieces, length - width, length);
}

static PyObject *
pieces(PyObject *module, PyObject *args)
{
    Pieces found = {0};
    Py_ssize_t width, step;
    (void)module;
    if (!PyArg_ParseTuple(args, "Unnnn", &found.text, &found.least, &found.most, &width, &step))
        return NULL;
    if (found.least < 1 || width < 1 || step < 1) {
        PyErr_SetString(PyExc_ValueError, "a piece has a length");
        return NULL;
    }
    found.out = PyList_New(0);
    if (found.out != NULL && append_all(&found, width, step) < 0)
        Py_CLEAR(found.out);
    return found.out;
}

static PyMethodDef methods[] = {
    {"reaching", reaching, METH_VARARGS, NULL},
    {"pieces", pieces, METH_VARARGS, NULL},
    {"places", places, METH_VARARGS, NULL},
    {"strange", strange, METH_VARARGS, NULL},
    {"signs", signs, METH_VARARGS, NULL},
    {"alternating", alternating, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* The one that judge.embedded.compiled asks for: another was left by another release. */
static int
begin(PyObject *module)
{
    return PyModule_AddIntConstant(module, "VERSION", 2);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, begin}, {0, NULL}};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_grams", .m_size = 0, .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC
PyInit__grams(void)
{
    return PyModuleDef_Init(&definition);
}
