"""Which ops a servable may hold. A SavedModel is a program: it runs with the server's rights.

An allow-list, because deny-lists have public bypasses. It grew from what Keras, TensorFlow Transform and the optimizer
emit, and holds what served models of images, detection, sound and text use; each op computes on its inputs alone. Left
out on purpose: DecodeCompressed (no bound on what comes out), ParseTensor (makes values of any type), BatchFunction
(threads of its own). A layer of your own may need `serving.allowed_ops`. Imports TensorFlow's protos only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from taxiway.components.errors import ServingError
from taxiway.components.files import durable_files
from taxiway.components.serving.safety import graph_functions, saver_nodes, tensorrt_ops
from taxiway.components.serving.safety.saver_nodes import get_source_name

_REFUSED = """
  WriteFile ReadFile MatchingFiles PrintV2 Print PyFunc PyFuncStateless EagerPyFunc WholeFileReader
  WholeFileReaderV2 TextLineReader TextLineReaderV2 TFRecordReader TFRecordReaderV2 FixedLengthRecordReader
  FixedLengthRecordReaderV2 IdentityReader IdentityReaderV2 TextLineDataset TFRecordDataset FixedLengthRecordDataset
  SqlDataset SaveDataset SaveDatasetV2 LoadDataset DebugIdentity DebugIdentityV2 DebugNumericSummary DebugNanCount
  Save SaveSlices Restore RestoreSlice AudioSummary ImageSummary CreateSummaryFileWriter WriteSummary
  WriteGraphSummary CreateSummaryDbWriter GenerateVocabRemapping LoadAndRemapMatrix InitializeTableFromTextFile Send
  Recv _Send _Recv RemoteCall RpcCall RpcServer RpcClient TryRpc DecodeProtoV2 EncodeProto Abort SerializeTRTResource
"""
REFUSED = frozenset(_REFUSED.split())
"""Refused by name, whatever the configuration allows: files, Python, other machines, the end of the process."""

TOP_NAMES = frozenset(
    ("saved_model.pb", "variables", "assets", "assets.extra", "fingerprint.pb", "keras_metadata.pb", "debug",
     "model.tflite", "model.onnx", "model.plan", "triton", "batching_params.pbtxt")
)  # fmt: skip
"""What may lie at the top of a servable. Other names may be other forms of a model that a newer runtime prefers."""
_MOST_BYTES = 2 << 30
_FILE_READERS = frozenset(("InitializeTableFromTextFileV2", tensorrt_ops.ENGINE_FILE))
"""Allowed, the second by name alone, where their file, the second input, is an asset of the model."""

_LISTS = """
control: Const Placeholder PlaceholderWithDefault Identity IdentityN NoOp StopGradient PreventGradient Assert
  PartitionedCall StatefulPartitionedCall If StatelessIf While StatelessWhile Case StatelessCase Switch Merge Enter
  Exit NextIteration LoopCond RefSwitch RefMerge GuaranteeConst EnsureShape Bitcast DeepCopy Empty ZerosLike OnesLike
variables: VarHandleOp ReadVariableOp AssignVariableOp VarIsInitializedOp VariableV2 Assign ResourceGather
  ResourceGatherNd DestroyResourceOp DisableCopyOnRead _ReadVariablesOp VariableShape
tables: HashTable HashTableV2 MutableHashTableV2 LookupTableFindV2 LookupTableSizeV2 LookupTableImportV2
  LookupTableExportV2 LookupTableInsertV2 InitializeTableV2 AnonymousHashTable AnonymousMutableHashTable
  MutableHashTableOfTensorsV2 StringToHashBucketFast StringToHashBucketStrong StringToHashBucket
parsing: ParseExample ParseExampleV2 ParseSingleExample DecodeRaw DecodePaddedRaw DecodeCSV StringToNumber
  DecodeBase64 EncodeBase64
strings: AsString StringJoin StringFormat StringLength StringLower StringUpper StringStrip StringSplit StringSplitV2
  RegexReplace RegexFullMatch StaticRegexReplace StaticRegexFullMatch Substr ReduceJoin UnicodeTranscode
  UnicodeDecodeWithOffsets UnicodeEncode StringNGrams UnsortedSegmentJoin
shapes: Shape ShapeN Size Rank Reshape Squeeze ExpandDims Transpose ConjugateTranspose Concat ConcatV2 Split SplitV
  Pack Unpack Stack Unstack Slice StridedSlice Tile Pad PadV2 MirrorPad Reverse ReverseV2 ReverseSequence Fill Range
  LinSpace BroadcastTo BroadcastArgs BroadcastGradientArgs Gather GatherV2 GatherNd ScatterNd TensorScatterUpdate
  TensorScatterAdd TensorScatterSub TensorScatterMax TensorScatterMin Where Select SelectV2 Unique UniqueV2
  UniqueWithCounts DynamicPartition DynamicStitch ParallelDynamicStitch OneHot Diag DiagPart MatrixDiagV3
  MatrixDiagPartV3 MatrixBandPart MatrixSetDiagV3 InvertPermutation ListDiff SpaceToBatchND BatchToSpaceND
  DepthToSpace SpaceToDepth Roll ExtractImagePatches ConcatOffset SearchSorted LowerBound UpperBound
sparse: SparseToDense SparseTensorDenseMatMul SparseReshape SparseConcat SparseSlice SparseFillEmptyRows
  SparseReorder SparseSegmentSum SparseSegmentMean SparseSegmentSqrtN SparseReduceSum SparseReduceMax SparseAdd
  SparseDenseCwiseAdd SparseDenseCwiseMul SparseTensorSliceDataset SparseCross SparseCrossV2 SparseCrossHashed
  SparseBincount DenseBincount RaggedBincount RaggedTensorToSparse RaggedTensorToTensor RaggedTensorFromVariant
  RaggedTensorToVariant RaggedGather RaggedRange RaggedCountSparseOutput SparseCountSparseOutput
  DenseCountSparseOutput SparseSoftmax SparseSplit DenseToDenseSetOperation DenseToSparseSetOperation
arithmetic: Add AddV2 AddN Sub Mul Div DivNoNan RealDiv FloorDiv FloorMod Mod TruncateDiv TruncateMod Neg Abs Sign
  Square Sqrt Rsqrt Reciprocal Inv Pow Exp Expm1 Log Log1p Sigmoid Tanh Sin Cos Tan Asin Acos Atan Atan2 Sinh Cosh
  Asinh Acosh Atanh Erf Erfc Erfinv Ndtri Lgamma Digamma Betainc Igamma Igammac Floor Ceil Round Rint Maximum Minimum
  SquaredDifference MulNoNan Xdivy Xlogy Xlog1py Cast ClipByValue Cumsum Cumprod CumulativeLogsumexp Bincount
  AccumulateNV2 Bucketize IsNan IsInf IsFinite NextAfter LeftShift RightShift BitwiseAnd BitwiseOr BitwiseXor Invert
comparison: Equal NotEqual Less LessEqual Greater GreaterEqual ApproximateEqual LogicalAnd LogicalOr LogicalNot
reduction: Sum Mean Prod Max Min All Any ArgMax ArgMin EuclideanNorm SegmentSum SegmentMean SegmentMax SegmentMin
  SegmentProd UnsortedSegmentSum UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd TopK TopKV2 NthElement
linear: MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum Cholesky MatrixInverse MatrixSolve Cross L2Loss
  _FusedMatMul _FusedBatchMatMulV2 SparseMatMul
neural: BiasAdd BiasAddV1 Relu Relu6 LeakyRelu Elu Selu Gelu Softplus Softsign Softmax LogSoftmax Conv2D Conv3D
  DepthwiseConv2dNative Conv2DBackpropInput MaxPool MaxPoolV2 AvgPool MaxPool3D AvgPool3D FusedBatchNorm
  FusedBatchNormV2 FusedBatchNormV3 LRN InTopK InTopKV2 SoftmaxCrossEntropyWithLogits
  SparseSoftmaxCrossEntropyWithLogits _FusedConv2D _FusedDepthwiseConv2dNative CudnnRNN CudnnRNNV2 CudnnRNNV3
  TensorListFromTensor TensorListReserve TensorListStack TensorListGetItem TensorListSetItem TensorListElementShape
  TensorListLength TensorListPushBack TensorListPopBack EmptyTensorList TensorListGather TensorListScatterV2
  TensorListConcatV2 TensorListResize TensorListSplit
images: DecodeJpeg DecodePng DecodeGif DecodeBmp DecodeImage DecodeAndCropJpeg ExtractJpegShape EncodeJpeg
  EncodeJpegVariableQuality EncodePng ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate
  CropAndResize ImageProjectiveTransformV2 ImageProjectiveTransformV3 ExtractGlimpse ExtractGlimpseV2 RGBToHSV HSVToRGB
  AdjustContrastv2 AdjustHue AdjustSaturation SampleDistortedBoundingBox SampleDistortedBoundingBoxV2
  StatelessSampleDistortedBoundingBox DrawBoundingBoxes DrawBoundingBoxesV2 Dilation2D Conv3DBackpropInputV2
  MaxPoolWithArgmax FractionalMaxPool FractionalAvgPool SpaceToBatch BatchToSpace DataFormatVecPermute DataFormatDimMap
  HistogramFixedWidth
detection: NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5
  NonMaxSuppressionWithOverlaps CombinedNonMaxSuppression GenerateBoundingBoxProposals UnravelIndex TensorArrayV3
  TensorArrayWriteV3 TensorArrayReadV3 TensorArrayGatherV3 TensorArrayScatterV3 TensorArrayConcatV3 TensorArraySplitV3
  TensorArraySizeV3 TensorArrayCloseV3
audio: DecodeWav EncodeWav AudioSpectrogram Mfcc FFT FFT2D FFT3D IFFT IFFT2D IFFT3D RFFT RFFT2D RFFT3D IRFFT IRFFT2D
  IRFFT3D Complex ComplexAbs Real Imag Angle Conj CTCGreedyDecoder CTCBeamSearchDecoder
sequences: ParseSequenceExample ParseSequenceExampleV2 ParseSingleSequenceExample UnicodeDecode RaggedCross Fingerprint
  LSTMBlockCell BlockLSTM BlockLSTMV2 GRUBlockCell TensorListConcat TensorListScatter TensorListScatterIntoExistingList
  TensorListPushBackBatch MutableHashTable MutableDenseHashTableV2 AnonymousMutableDenseHashTable LookupTableRemoveV2
matrices: MatrixDiag MatrixDiagV2 MatrixDiagPart MatrixDiagPartV2 MatrixSetDiag MatrixSetDiagV2 MatrixDeterminant
  LogMatrixDeterminant MatrixTriangularSolve MatrixSquareRoot Qr Svd Lu SelfAdjointEigV2 TridiagonalSolve SegmentSumV2
  SegmentMaxV2 SegmentMinV2 SegmentProdV2 SparseSegmentSumWithNumSegments SparseSegmentMeanWithNumSegments
  SparseSegmentSqrtNWithNumSegments UniqueWithCountsV2 TensorStridedSliceUpdate ScatterNdNonAliasingAdd Snapshot
  PopulationCount Zeta Polygamma BesselI0 BesselI0e BesselI1 BesselI1e
random: RandomUniform RandomStandardNormal TruncatedNormal RandomUniformInt StatelessRandomUniform
  StatelessRandomUniformV2 StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomGetKeyCounter
  StatelessRandomGetAlg RandomShuffle Multinomial StatelessRandomUniformInt StatelessRandomUniformIntV2
  StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2 StatelessTruncatedNormal StatelessTruncatedNormalV2
  StatelessMultinomial StatelessRandomGetKeyCounterAlg RngReadAndSkip StatefulUniform StatefulStandardNormalV2
quantization: FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel QuantizeV2 Dequantize
  QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 Requantize UniformQuantize UniformDequantize
  UniformQuantizedDot UniformQuantizedDotHybrid XlaDotV2 XlaCallModule QuantizedMatMul
rewritten: _TensorToHashBucketFast _TensorToHashBucketStrong _UnaryOpsComposition _FusedBatchNormEx
others: AssignAddVariableOp AssignSubVariableOp BoostedTreesBucketize ScalarSummary HistogramSummary MergeSummary
  OptionalFromValue OptionalNone OptionalHasValue OptionalGetValue DateTime Timestamp
"""
ALLOWED = frozenset(word for line in _LISTS.splitlines() for word in line.split() if not word.endswith(":"))
"""Ops that compute on what they are given."""


def check_saved_model(folder: str | Path, also_allowed: Iterable[str] = ()) -> list[str]:
    """What is wrong with a SavedModel as a program, one sentence each; empty when it may be served.

    Args:
        folder: Folder of the SavedModel. Nothing in it is run or loaded.
        also_allowed: Ops allowed beside the list; those of `REFUSED` stay refused.

    Raises:
        ServingError: It is no SavedModel, or holds a symbolic link.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    folder = Path(folder)
    names = list(durable_files.list_files(folder))
    if "saved_model.pbtxt" in names:
        return ["saved_model.pbtxt: the text form is refused, because a server may prefer it to what was checked"]
    if "saved_model.pb" not in names:
        raise ServingError(f"{folder} holds no saved_model.pb.", "Give the folder of a TensorFlow SavedModel.")
    strange = sorted({PurePosixPath(name).parts[0] for name in names} - TOP_NAMES)
    if strange:
        return [f"{name} has no place in a SavedModel: a server may load it for what was checked" for name in strange]
    if (folder / "saved_model.pb").stat().st_size > _MOST_BYTES:
        return [f"saved_model.pb is larger than {_MOST_BYTES >> 30} GiB, which no protobuf is"]
    try:
        model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise ServingError(
            f"{folder / 'saved_model.pb'} cannot be parsed: {error}.", "Export the model again."
        ) from error
    allowed = ALLOWED | (set(also_allowed) - REFUSED)
    return [problem for graph in model.meta_graphs for problem in _check_graph(graph, folder, allowed)]


def _check_graph(meta_graph: Any, folder: Path, allowed: Iterable[str]) -> Iterator[str]:
    yield from _check_assets(meta_graph, folder)
    yield from saver_nodes.check_saver(meta_graph)
    files = saver_nodes.OPS | _FILE_READERS
    yield from graph_functions.check_functions(meta_graph.graph_def, {*allowed, *files}, files)
    yield from _check_file_readers(meta_graph)
    bound = _AssetArguments(meta_graph)
    yield from _check_nodes("the graph", meta_graph.graph_def.node, allowed, bound.constants)
    for function in meta_graph.graph_def.library.function:
        where = f"the function {function.signature.name}"
        yield from _check_nodes(where, function.node_def, allowed, bound.find_arguments(function))


def _check_file_readers(meta_graph: Any) -> Iterator[str]:
    """Loaders say where an asset lies only while initializers run; else its constant's own path, any path, is read."""
    nodes, called = saver_nodes.find_nodes_without_assets(meta_graph)
    graph = meta_graph.graph_def
    inside = [node for f in graph.library.function if f.signature.name in called for node in f.node_def]
    for node in [*(node for node in graph.node if node.name in nodes), *inside]:
        if node.op in _FILE_READERS:
            yield f"{node.op} ({node.name}) reads a file elsewhere than in an initializer"


def _check_nodes(where: str, nodes: Iterable[Any], allowed: Iterable[str], assets: set[str]) -> Iterator[str]:
    yield from graph_functions.check_calls(where, nodes)
    for node in nodes:
        problem = _find_problem(node, allowed, assets)
        if problem:
            yield f"{node.op} ({node.name} in {where}) {problem}"


def _find_problem(node: Any, allowed: Iterable[str], assets: set[str]) -> str:
    if node.op in saver_nodes.OPS:
        return ""  # `saver_nodes.check_saver` has looked at it
    if node.op in REFUSED:
        return "is refused: it touches files, Python or other machines"
    problem = tensorrt_ops.find_problem(node.op in allowed) if node.op in tensorrt_ops.OPS else ""
    if problem:
        return problem
    if node.op in _FILE_READERS:
        bound = len(node.input) > 1 and get_source_name(node.input[1]) in assets
        return "" if bound else "reads a file that is no asset of the model"
    return "" if node.op in allowed else "is not on the list of allowed ops (serving.allowed_ops adds to it)"


class _AssetArguments:
    """Follows assets into functions: an argument is an asset only if every call passes one there."""

    def __init__(self, meta_graph: Any) -> None:
        constants = {get_source_name(asset.tensor_info.name) for asset in meta_graph.asset_file_def} - {""}
        unfed, _ = saver_nodes.find_nodes_without_assets(meta_graph)
        self.constants = constants | _find_asset_reads(meta_graph.graph_def, constants, unfed)
        self._calls = graph_functions.map_callers(meta_graph.graph_def)

    def find_arguments(self, function: Any) -> set[str]:
        """The function's arguments that are assets at every call; none where it reads no file of an asset."""
        if all(node.op not in _FILE_READERS for node in function.node_def):
            return set()
        names = [argument.name for argument in function.signature.input_arg]
        return {name for index, name in enumerate(names) if self._is_asset(function.signature.name, index)}

    def _is_asset(self, name: str, index: int) -> bool:
        # What nothing calls (a table's initializer as an object) cannot run on a server; a cycle adds nothing.
        pending, seen = [(name, index)], set[tuple[str, int]]()
        while pending:
            place = pending.pop()
            if place in seen:
                continue
            seen.add(place)
            for owner, node in self._calls.get(place[0], []):
                passed = _find_passed_input(node, place[1])
                names = [] if owner is None else [argument.name for argument in owner.signature.input_arg]
                if passed in names:
                    pending.append((owner.signature.name, names.index(passed)))
                elif owner is not None or passed not in self.constants:
                    return False
        return True


def _find_passed_input(node: Any, index: int) -> str | None:
    """Where an argument of a call comes from; only plain calls pass their inputs one to one, If and While do not."""
    plain = node.op in ("PartitionedCall", "StatefulPartitionedCall") and index < len(node.input)
    return get_source_name(node.input[index]) if plain else None


def _find_asset_reads(graph_def: Any, constants: set[str], unfed: set[str]) -> set[str]:
    """Reads of the variables in which Keras and TensorFlow keep an asset's path, and nothing but that."""
    handles = [
        node
        for body in (graph_def.node, *_list_function_bodies(graph_def))
        for node in body
        if node.op == "VarHandleOp"
    ]
    shared = [handle.attr["shared_name"].s or handle.name.encode() for handle in handles]
    alone = {h.name for h, name in zip(handles, shared, strict=True) if shared.count(name) == 1}
    users: dict[str, list[Any]] = {name: [] for name in alone}
    for node in graph_def.node:
        for handle in set(map(get_source_name, node.input)) & alone:
            users[handle].append(node)
    holding = {handle for handle, nodes in users.items() if _holds_asset(nodes, constants, unfed)}
    return {n.name for n in graph_def.node if n.op == "ReadVariableOp" and get_source_name(n.input[0]) in holding}


def _list_function_bodies(graph_def: Any) -> list[Any]:
    return [function.node_def for function in graph_def.library.function]


def _holds_asset(users: list[Any], constants: set[str], unfed: set[str]) -> bool:
    """Whether all that happens to a variable is that an initializer puts an asset's path in, and that it is read."""
    written = [get_source_name(node.input[1]) for node in users if node.op == "AssignVariableOp"]
    plain = all(node.op in ("AssignVariableOp", "ReadVariableOp", "VarIsInitializedOp") for node in users)
    early = any(node.op == "AssignVariableOp" and node.name in unfed for node in users)
    return plain and not early and bool(written) and set(written) <= constants


def _check_assets(meta_graph: Any, folder: Path) -> Iterator[str]:
    for asset in meta_graph.asset_file_def:
        path = PurePosixPath(asset.filename)
        if path.is_absolute() or ".." in path.parts or not (folder / "assets" / path).is_file():
            yield f"the asset {asset.filename!r} is no file below assets/"
