// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title TestUsdc: an EIP-20 token with EIP-3009 authorizations, for a local chain only
/// @notice Written from EIP-20, EIP-712 and EIP-3009. Anybody may mint: it is worth nothing.
/// @dev The sandbox writes the *runtime* bytecode straight to an address, such as the one a network's
///      USDC has, so no constructor ever runs. Hence no immutables, and a domain separator that is
///      computed from `address(this)` and `block.chainid` at every call. Name, symbol, version and
///      decimals are written to storage beside the code, so that one contract makes several tokens.
///      Payers are plain keys (EOAs): EIP-1271 contract signatures are left out.
contract TestUsdc {
    bytes32 private constant EIP712_DOMAIN_TYPEHASH =
        keccak256('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)');
    bytes32 public constant TRANSFER_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        'TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)'
    );
    bytes32 public constant RECEIVE_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        'ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)'
    );
    bytes32 public constant CANCEL_AUTHORIZATION_TYPEHASH =
        keccak256('CancelAuthorization(address authorizer,bytes32 nonce)');

    /// @dev Half the order of secp256k1: of the two valid `s` only the lower is taken (EIP-2), so
    ///      that nobody can make a second signature out of a first.
    uint256 private constant MAX_S =
        0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    uint256 public totalSupply;
    mapping(address owner => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;
    /// @notice EIP-3009: true once the nonce is used *or* cancelled.
    mapping(address authorizer => mapping(bytes32 nonce => bool)) public authorizationState;

    /// @dev Storage slots 4 to 7, which testUsdc.ts fills. Their order is fixed.
    string public name;
    string public symbol;
    /// @notice The `version` of the EIP-712 domain.
    string public version;
    uint8 public decimals;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    // ---- EIP-20, and a mint for everybody

    function transfer(address to, uint256 value) external returns (bool) {
        _transfer(msg.sender, to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        require(allowed >= value, 'TestUsdc: transfer amount exceeds allowance');
        unchecked {
            allowance[from][msg.sender] = allowed - value;
        }
        _transfer(from, to, value);
        return true;
    }

    function mint(address to, uint256 value) external {
        require(to != address(0), 'TestUsdc: mint to the zero address');
        totalSupply += value;
        unchecked {
            // Cannot overflow: no balance exceeds the total supply, which was checked above.
            balanceOf[to] += value;
        }
        emit Transfer(address(0), to, value);
    }

    // ---- EIP-3009

    /// @notice The EIP-712 domain separator of this token on this chain.
    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return keccak256(
            abi.encode(
                EIP712_DOMAIN_TYPEHASH,
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                block.chainid,
                address(this)
            )
        );
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        _transferWithAuthorization(
            TRANSFER_WITH_AUTHORIZATION_TYPEHASH,
            Authorization(from, to, value, validAfter, validBefore, nonce),
            abi.encodePacked(r, s, v)
        );
    }

    /// @param signature r, s, v packed: 65 bytes.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external {
        _transferWithAuthorization(
            TRANSFER_WITH_AUTHORIZATION_TYPEHASH,
            Authorization(from, to, value, validAfter, validBefore, nonce),
            signature
        );
    }

    /// @notice As transferWithAuthorization, but only the payee may send it (EIP-3009).
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        require(to == msg.sender, 'TestUsdc: caller must be the payee');
        _transferWithAuthorization(
            RECEIVE_WITH_AUTHORIZATION_TYPEHASH,
            Authorization(from, to, value, validAfter, validBefore, nonce),
            abi.encodePacked(r, s, v)
        );
    }

    /// @param signature r, s, v packed: 65 bytes.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external {
        require(to == msg.sender, 'TestUsdc: caller must be the payee');
        _transferWithAuthorization(
            RECEIVE_WITH_AUTHORIZATION_TYPEHASH,
            Authorization(from, to, value, validAfter, validBefore, nonce),
            signature
        );
    }

    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)
        external
    {
        _cancelAuthorization(authorizer, nonce, abi.encodePacked(r, s, v));
    }

    /// @param signature r, s, v packed: 65 bytes.
    function cancelAuthorization(address authorizer, bytes32 nonce, bytes memory signature)
        external
    {
        _cancelAuthorization(authorizer, nonce, signature);
    }

    // ---- Inside

    /// @dev The six signed fields, in memory because as arguments they do not fit on the stack.
    struct Authorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    /// @dev The x402 facilitator reads these revert strings for its refusal reasons; it looks for
    ///      "authorization ... expired", "not yet valid", "used" and "exceeds balance".
    function _transferWithAuthorization(
        bytes32 typehash,
        Authorization memory auth,
        bytes memory signature
    ) private {
        // Both bounds are exclusive in EIP-3009.
        require(block.timestamp > auth.validAfter, 'TestUsdc: authorization is not yet valid');
        require(block.timestamp < auth.validBefore, 'TestUsdc: authorization is expired');
        _requireUnused(auth.from, auth.nonce);
        _requireSignature(
            auth.from,
            keccak256(
                abi.encode(
                    typehash,
                    auth.from,
                    auth.to,
                    auth.value,
                    auth.validAfter,
                    auth.validBefore,
                    auth.nonce
                )
            ),
            signature
        );
        authorizationState[auth.from][auth.nonce] = true;
        emit AuthorizationUsed(auth.from, auth.nonce);
        _transfer(auth.from, auth.to, auth.value);
    }

    function _cancelAuthorization(address authorizer, bytes32 nonce, bytes memory signature)
        private
    {
        _requireUnused(authorizer, nonce);
        _requireSignature(
            authorizer,
            keccak256(abi.encode(CANCEL_AUTHORIZATION_TYPEHASH, authorizer, nonce)),
            signature
        );
        authorizationState[authorizer][nonce] = true;
        emit AuthorizationCanceled(authorizer, nonce);
    }

    function _requireUnused(address authorizer, bytes32 nonce) private view {
        require(
            !authorizationState[authorizer][nonce], 'TestUsdc: authorization is used or canceled'
        );
    }

    /// @dev EIP-712: the signed digest is 0x19 0x01, the domain separator, the struct's hash.
    function _requireSignature(address signer, bytes32 structHash, bytes memory signature)
        private
        view
    {
        require(signature.length == 65, 'TestUsdc: invalid signature length');
        bytes32 r;
        bytes32 s;
        uint8 v;
        assembly ('memory-safe') {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
            v := byte(0, mload(add(signature, 0x60)))
        }
        require(uint256(s) <= MAX_S, 'TestUsdc: invalid signature s');
        bytes32 digest = keccak256(abi.encodePacked(hex'1901', DOMAIN_SEPARATOR(), structHash));
        // ecrecover answers zero for whatever it cannot recover, a `v` besides 27 and 28 included.
        address recovered = ecrecover(digest, v, r, s);
        require(recovered != address(0) && recovered == signer, 'TestUsdc: invalid signature');
    }

    function _transfer(address from, address to, uint256 value) private {
        require(to != address(0), 'TestUsdc: transfer to the zero address');
        uint256 balance = balanceOf[from];
        require(balance >= value, 'TestUsdc: transfer amount exceeds balance');
        unchecked {
            // The first was checked just above; the second cannot exceed the total supply.
            balanceOf[from] = balance - value;
            balanceOf[to] += value;
        }
        emit Transfer(from, to, value);
    }
}
