//! The system for protected models, with real processes on loopback: an owner, a service on a machine
//! that is not trusted, and clients that acquire images. The model is small so that the tests take
//! seconds; its keys have 128 bits and nothing stands in for anything.

mod attacks;
mod jobs;
mod kills;
mod owner;
mod secrets;
mod slots;

use bellerophon::agents::{AcquisitionAgent, DecryptionAgent};
use bellerophon::bundle::{Bundle, OwnerKey};
use bellerophon::compile::Model;
use bellerophon::model_id::ModelId;
use bellerophon::service::connection::{Connection, ConnectionError, Endpoint};
use bellerophon::store::Store;
use bellerophon::store::seal::Passphrase;
use bellerophon_schemes::security::SecurityLevel;
use ndarray::{ArrayD, IxDyn};
use prost::Message;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};
use zeroize::Zeroizing;

const PASSPHRASE: &str = "a passphrase for tests";
const LEVEL: SecurityLevel = SecurityLevel::Bits128;
/// Pixels of an image, hidden units, outputs.
const SIZES: [usize; 3] = [64, 6, 4];
/// Images in `images.npy`.
const IMAGES: usize = 200;

/// What the owner made once; tests copy what they change.
struct World {
    folder: TempDir,
    plain: Model,
    images: Vec<Vec<f64>>,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    /// The commands that an owner runs: two models with keys of their own, deployed.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::write(at.join("small.onnx"), network("Relu", &["hidden"])).unwrap();
        let pixels = pixels();
        fs::write(at.join("images.npy"), npy(&pixels)).unwrap();
        succeed(at, "compile small.onnx --calibration images.npy --out small.program");
        for model in ["small@1", "other@1"] {
            let keygen = "owner keygen --store models.store --program small.program --model";
            succeed(at, &format!("{keygen} {model}"));
            let protect = "owner protect small.program --store models.store --model";
            succeed(at, &format!("{protect} {model}"));
            let bundle = model.replace("@1", ".bundle");
            let deploy = "owner deploy --store models.store --model";
            succeed(at, &format!("{deploy} {model} --out {bundle}"));
        }
        succeed(at, "owner identity --store models.store --out owner.pub");
        for client in 0..8 {
            let token = format!("edge token client-{client} --tokens tokens --out token-{client}");
            succeed(at, &token);
        }
        let plain = Model::from_onnx(at.join("small.onnx")).unwrap();
        let image = |image: &[u8]| image.iter().map(|&pixel| f64::from(pixel) / 255.0).collect();
        let images = pixels.chunks(SIZES[0]).map(image).collect();
        Self { folder, plain, images }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn owner(&self) -> OwnerKey {
        fs::read_to_string(self.file("owner.pub")).unwrap().parse().unwrap()
    }

    fn bundle(&self, model: &str) -> Bundle {
        Bundle::open(&self.file(&format!("{model}.bundle")), &self.owner()).unwrap()
    }

    fn token(&self, client: usize) -> Zeroizing<String> {
        fs::read_to_string(self.file(&format!("token-{client}"))).unwrap().into()
    }

    fn connection(&self, edge: &Edge, client: usize) -> Connection {
        let (url, token) = (edge.url.clone(), Some(self.token(client)));
        Connection::new(Endpoint { url, token, tls: None }).unwrap()
    }

    /// An encrypted image, as bytes that a client sends.
    fn encrypted(&self, model: &str, index: usize) -> Vec<u8> {
        self.encrypted_for(&mut self.bundle(model), index)
    }

    /// An image encrypted for any bundle as the edge does, by a connection that leads nowhere.
    fn encrypted_for(&self, bundle: &mut Bundle, index: usize) -> Vec<u8> {
        let endpoint = Endpoint { url: "http://127.0.0.1:9".to_owned(), token: None, tls: None };
        let connection = Connection::new(endpoint).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let mut agent = AcquisitionAgent::new(bundle, LEVEL, connection, path).unwrap();
        let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
        let unsent = agent.submit("image", &self.images[index], &mut rng);
        assert!(unsent.is_err(), "the connection leads nowhere");
        fs::read(folder.path().join("image.input")).unwrap()
    }

    /// What a network gives in the clear for an image.
    fn expected(&self, model: &Model, index: usize) -> Vec<f64> {
        let shape = model.graph().input_shape().dimensions();
        let input = ArrayD::from_shape_vec(IxDyn(&shape), self.images[index].clone()).unwrap();
        model.graph().evaluate(&input).unwrap().into_iter().collect()
    }

    /// Opens a result with the owner's key and compares it with the plain network.
    #[track_caller]
    fn assert_right(&self, agent: &mut DecryptionAgent<'_>, result: &[u8], index: usize) {
        self.assert_near(&agent.decrypt(result).unwrap().values, index);
    }

    /// Compares decrypted values with those of the plain network.
    #[track_caller]
    fn assert_near(&self, found: &[f64], index: usize) {
        let expected = self.expected(&self.plain, index);
        let range = expected.iter().fold(0.1, |most: f64, value| most.max(value.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            let near = (found - expected).abs() < 0.25 * range;
            assert!(near, "image {index}: {found} where the plain network gives {expected}");
        }
        assert_eq!(found.len(), expected.len());
    }

    /// A store of its own, where the test's record is not that of others.
    fn store(&self) -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("models.store");
        fs::copy(self.file("models.store"), &path).unwrap();
        let store = Store::open(&path).unwrap();
        (folder, store)
    }
}

fn passphrase() -> Passphrase {
    Passphrase::new(Zeroizing::new(PASSPHRASE.to_owned())).unwrap()
}

fn small() -> ModelId {
    ModelId::new("small", 1).unwrap()
}

/// Runs the program in `folder`, with the words of `line`.
fn run(folder: &Path, line: &str) -> Output {
    command(folder, line).output().unwrap()
}

fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellerophon"));
    command.current_dir(folder).env("XDG_CACHE_HOME", folder).env("HOME", folder);
    command.env("BELLEROPHON_PASSPHRASE", PASSPHRASE).args(line.split_whitespace());
    command.stdin(Stdio::null());
    command
}

#[track_caller]
fn succeed(folder: &Path, line: &str) -> String {
    let output = run(folder, line);
    let (out, error) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{line}: {out}{error}");
    out
}

#[track_caller]
fn refused(folder: &Path, line: &str, words: &[&str]) -> String {
    let output = run(folder, line);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{line}: {message}");
    let lines: Vec<&str> = message.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "{line}: {message}");
    for word in words {
        assert!(lines[0].contains(word), "{word:?} is not in: {message}");
    }
    assert!(output.stdout.is_empty(), "{line} went on");
    message
}

/// A service as a process of its own, which ends with it.
struct Edge {
    child: Child,
    url: String,
    log: PathBuf,
}

impl Edge {
    /// Serves both models with the state in `folder`.
    fn new(folder: &Path, more: &str) -> Self {
        Self::at(folder, "127.0.0.1:0", more)
    }

    fn at(folder: &Path, address: &str, more: &str) -> Self {
        let more = format!("--bundle small.bundle --bundle other.bundle {more}");
        Self::serving(WORLD.path(), folder, address, &more)
    }

    /// Serves bundles from the folder `world`.
    fn serving(world: &Path, folder: &Path, address: &str, more: &str) -> Self {
        let log = folder.join("log");
        let line = format!(
            "edge serve --owner owner.pub --tokens tokens --listen {address} --state {} {more}",
            folder.join("state").display()
        );
        let mut command = command(world, &line);
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("http"), "{}", fs::read_to_string(&log).unwrap());
        Self { child, url: url.trim().to_owned(), log }
    }

    fn address(&self) -> &str {
        self.url.rsplit('/').next().unwrap()
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    fn stop(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(&id).status().unwrap().success());
        self.child.wait().unwrap().code()
    }

    fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The largest resident memory so far, in bytes.
    fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        Some(1024 * line.split_whitespace().nth(1)?.parse::<u64>().ok()?)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until a job has its result.
#[track_caller]
fn wait(connection: &mut Connection, id: bellerophon::service::queue::JobId) -> Vec<u8> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(120) {
        if let Some(result) = connection.result(id).unwrap() {
            return result;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no result")
}

/// That a service still does what it is for.
#[track_caller]
fn assert_serves(edge: &Edge, index: usize) {
    let mut connection = WORLD.connection(edge, 7);
    let job = connection.submit(&small(), &WORLD.encrypted("small", index)).unwrap();
    let result = wait(&mut connection, job.id);
    let (_folder, mut store) = WORLD.store();
    let passphrase = passphrase();
    let mut agent = DecryptionAgent::new(&mut store, &passphrase, LEVEL);
    WORLD.assert_right(&mut agent, &result, index);
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, ConnectionError>, status: u16, words: &str) {
    match result.unwrap_err() {
        ConnectionError::Refused { status: found, message } => {
            assert!(found == status && message.contains(words), "{found}: {message}");
        }
        other => panic!("{other}"),
    }
}

fn pixels() -> Vec<u8> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    (0..IMAGES * SIZES[0]).map(|_| rng.random()).collect()
}

/// Images as a `.npy` file of vectors.
fn npy(pixels: &[u8]) -> Vec<u8> {
    let shape = format!("({}, {})", pixels.len() / SIZES[0], SIZES[0]);
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), pixels].concat()
}

/// Two dense layers with an activation between them, of random weights.
fn network(activation: &str, operands: &[&str]) -> Vec<u8> {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut tensor = |name: &str, dims: &[usize]| TensorProto {
        name: name.into(),
        dims: dims.iter().map(|&length| length as i64).collect(),
        data_type: DataType::Float as i32,
        float_data: (0..dims.iter().product()).map(|_| rng.random_range(-0.5..0.5)).collect(),
        ..Default::default()
    };
    let [input, hidden, output] = SIZES;
    let weights = vec![
        tensor("w1", &[input, hidden]),
        tensor("b1", &[hidden]),
        tensor("w2", &[hidden, output]),
        tensor("b2", &[output]),
    ];
    let node = |operator: &str, inputs: &[&str], output: &str| NodeProto {
        name: output.into(),
        op_type: operator.into(),
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![output.into()],
        ..Default::default()
    };
    let nodes = vec![
        node("Gemm", &["x", "w1", "b1"], "hidden"),
        node(activation, operands, "active"),
        node("Gemm", &["active", "w2", "b2"], "y"),
    ];
    let dim = [1, input as i64].map(|length| Dimension {
        value: Some(dimension::Value::DimValue(length)),
        ..Default::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: dim.to_vec() }),
    };
    let kind =
        TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    let graph = GraphProto {
        name: "small".into(),
        node: nodes,
        initializer: weights,
        input: vec![ValueInfoProto { name: "x".into(), r#type: Some(kind), ..Default::default() }],
        output: vec![ValueInfoProto { name: "y".into(), ..Default::default() }],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: String::new(), version: 13 };
    ModelProto {
        ir_version: 8,
        opset_import: vec![opset],
        graph: Some(graph),
        ..Default::default()
    }
    .encode_to_vec()
}
